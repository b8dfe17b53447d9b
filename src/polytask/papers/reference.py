"""A paper as people read it: the fields of a BibTeX entry without its braces and accents."""

import re
import unicodedata
from dataclasses import dataclass

#: What BibTeX writes before a letter, and the combining character it stands for.
ACCENTS = {'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", "c": "\u0327", "v": "\u030c"}


@dataclass(frozen=True)
class Reference:
    """A published text.

    Attributes:
        key: in `PAPERS`.
        authors: their names as printed, first names first.
        title: of the text.
        venue: the conference, journal or archive.
        year: of publication.
        link: where it is found; empty where nothing is known.
    """

    key: str
    authors: tuple[str, ...]
    title: str
    venue: str
    year: int
    link: str

    @classmethod
    def read(cls, entry: str) -> "Reference":
        r"""The reference that a BibTeX entry of ours writes.

        Example:
            >>> entry = r'''@article{doe2020,
            ...   author  = {Doe, Jane and K{\"o}hler, Jan M.},
            ...   title   = {{MTL}: A Title},
            ...   journal = {arXiv preprint arXiv:2001.00001},
            ...   year    = {2020},
            ...   eprint  = {2001.00001}
            ... }'''
            >>> found = Reference.read(entry)
            >>> found.authors, found.title, found.venue
            (('Jane Doe', 'Jan M. Köhler'), 'MTL: A Title', 'arXiv')
            >>> found.link
            'https://arxiv.org/abs/2001.00001'
        """
        (key,) = re.findall(r"^@\w+\{(\w+),", entry)
        fields = dict(re.findall(r"^  (\w+) += \{(.*?)\},?\n(?=  \w+ +=|\})", entry, re.MULTILINE | re.DOTALL))
        authors = tuple(" ".join(reversed(name.split(", "))) for name in plain(fields["author"]).split(" and "))
        venue = plain(fields.get("booktitle") or fields.get("journal", ""))
        return cls(
            key=key,
            authors=authors,
            title=plain(fields["title"]),
            venue="arXiv" if venue.startswith("arXiv") else venue,
            year=int(fields["year"]),
            link=_link(fields),
        )


def plain(text: str) -> str:
    r"""BibTeX's text without its braces, with accents on their letters.

    Example:
        >>> plain(r"Val{\'e}rian {Pareto}--{MTL}")
        'Valérian Pareto–MTL'
    """
    accented = re.sub(r"\\(.)\{?(\w)\}?", lambda m: m[2] + ACCENTS.get(m[1], ""), text)
    unbraced = accented.replace("{", "").replace("}", "").replace("--", "–")
    return unicodedata.normalize("NFC", " ".join(unbraced.split()))


def _link(fields: dict[str, str]) -> str:
    if "eprint" in fields:
        return f"https://arxiv.org/abs/{fields['eprint']}"
    return f"https://doi.org/{fields['doi']}" if "doi" in fields else fields.get("url", "")
