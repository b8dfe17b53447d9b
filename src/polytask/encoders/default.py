"""Which encoder reads which columns: the one that is taken by itself, and what the others answer."""

from polytask.feature import InputSpec


def default_encoder(spec: InputSpec) -> str:
    """The name of the encoder that is taken where none is chosen.

    Example:
        >>> default_encoder(InputSpec(numbers=("age",)))
        'mlp'
        >>> default_encoder(InputSpec(numbers=("age",), images={"scan": (1, 64, 64)}))
        'fusion'
    """
    if not spec.images and not spec.sequences:
        return "mlp"
    if spec.has_table or len(spec.images) + len(spec.sequences) > 1:
        return "fusion"
    return "lenet" if spec.images else "conv1d"


def columns_of(spec: InputSpec) -> str:
    """What there is, for an error: "images 'left', 'right' and a table (3 columns)"."""
    kinds = {"image": list(spec.images), "sequence": list(spec.sequences)}
    said = [f"{kind}{'s' * (len(names) > 1)} {', '.join(map(repr, names))}" for kind, names in kinds.items() if names]
    in_table = [*spec.numbers, *(name for name, _ in spec.categories), *spec.vectors]
    if in_table:
        said.append(f"a table ({in_table[0]!r}{' …' * (len(in_table) > 1)})")
    return " and ".join(said)


def unreadable(name: str, reads: str, spec: InputSpec) -> ValueError:
    """The sentence of an encoder that cannot read these columns, with the one that can.

    Args:
        name: of the encoder.
        reads: what it reads.
        spec: what there is.
    """
    if not columns_of(spec):
        return ValueError(f"encoder {name!r} reads {reads}, but there is no input column left")
    works = default_encoder(spec)
    return ValueError(f"encoder {name!r} reads {reads}, but there is {columns_of(spec)}; encoder {works!r} would work")
