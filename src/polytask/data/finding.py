"""What the lint says: one warning, with its numbers and what to do."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Finding:
    """One warning.

    Attributes:
        what: leak, missing-leak, duplicates, stray-word, empty-text, constant-target, class-missing, few-labels,
            one-value, rare-class, redundant-tasks, exclusive-tasks, leak-across or entity-sides.
        column: it is about, if one.
        task: it is about, if one.
        text: a sentence with the numbers.
        remedy: what to do.
    """

    what: str
    column: str | None
    task: str | None
    text: str
    remedy: str

    def to_dict(self) -> dict[str, str | None]:
        """As JSON writes it."""
        return asdict(self)
