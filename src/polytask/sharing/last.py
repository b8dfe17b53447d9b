"""What a module remembers of its last forward."""

from typing import Any


class LastForward:
    """Values of the last forward, graph and all; a copy of the module, or a saved one, starts without them.

    Example:
        >>> import copy
        >>> last = LastForward()
        >>> last.values["gate"] = 1
        >>> copy.deepcopy(last).values
        {}
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "LastForward":
        return LastForward()

    def __reduce__(self) -> tuple[type["LastForward"], tuple[()]]:
        return LastForward, ()
