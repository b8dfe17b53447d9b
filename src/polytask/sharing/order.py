"""An order of the tasks, checked."""

from collections.abc import Iterable, Sequence

from polytask.errors import nearest


def checked_order(scheme: str, order: Sequence[str] | None, tasks: Iterable[str]) -> tuple[str, ...]:
    """The tasks in this order, or as they come where none is given.

    Raises:
        ValueError: a name that is no task, or a task that the order leaves out or names twice.
    """
    known = list(tasks)
    if order is None:
        return tuple(known)
    for name in order:
        if name not in known:
            raise ValueError(f"{scheme}: order names {name!r}, which is no task; {nearest(name, known)}")
    if sorted(order) != sorted(known):
        raise ValueError(f"{scheme}: order={list(order)} names every task once: {known}, the first of them first")
    return tuple(order)
