"""Energy that the machine's processors take, where the system lets it be read (Linux, Intel and AMD: RAPL)."""

from pathlib import Path

#: Counters of whole processor packages, in microjoules.
COUNTERS = Path("/sys/class/powercap")


class Meter:
    """Counts from when it is made.

    Args:
        enabled: whether to count at all: the counters see the whole machine, so that one job at a time is needed.
        counters: the folder of the counters.
    """

    def __init__(self, *, enabled: bool = True, counters: Path = COUNTERS) -> None:
        self._packages = sorted(counters.glob("intel-rapl:[0-9]")) if enabled else []
        self._first = self._read()

    def joules(self) -> float | None:
        """Joules since then; None where they cannot be read."""
        now = self._read()
        if self._first is None or now is None:
            return None
        spent = [_risen(before, after, most) for (before, most), (after, _) in zip(self._first, now, strict=True)]
        return round(sum(spent) / 1e6, 3)

    def _read(self) -> list[tuple[int, int]] | None:
        try:
            return [
                (int((p / "energy_uj").read_text()), int((p / "max_energy_range_uj").read_text()))
                for p in self._packages
            ] or None
        except (OSError, ValueError):
            return None


def _risen(before: int, after: int, most: int) -> int:
    """The counter starts again from 0 after its largest value."""
    return after - before if after >= before else after - before + most
