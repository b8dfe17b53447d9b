"""The plan of one pass over streamed rows: which rows of which pieces are together in a buffer, in which order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from polytask.data.batch import WHOLE, Part
from polytask.data.stream.pieces import Piece


@dataclass(frozen=True)
class Span:
    """Wanted rows of one piece, counted among those of the piece: from `low` to before `high`."""

    piece: int
    low: int
    high: int

    @property
    def rows(self) -> int:
        """How many."""
        return self.high - self.low


@dataclass(frozen=True)
class PassPlan:
    """The buffers of one pass, in order, of the rows that one process reads.

    Attributes:
        buffers: the spans of each.
        starts: number of rows before each buffer, and at last that of all.
    """

    buffers: Sequence[Sequence[Span]]
    starts: np.ndarray

    @classmethod
    def draw(
        cls,
        pieces: Sequence[Piece],
        wanted: np.ndarray,
        generator: torch.Generator,
        buffer_rows: int,
        rows: tuple[int, int],
    ) -> "PassPlan":
        """Draws the order of the row groups and fills buffers with them, one behind the other.

        Args:
            pieces: of the table; those of one row group stay together and in order.
            wanted: how many rows of each piece are wanted.
            generator: of this pass.
            buffer_rows: a buffer is full before it would have more, but has one piece at least.
            rows: of all wanted rows in the drawn order, the first that this process reads, and the one behind its last.
        """
        groups: dict[tuple[int, int], list[int]] = {}
        for number, piece in enumerate(pieces):
            if wanted[number]:
                groups.setdefault((piece.file, piece.group), []).append(number)
        members = list(groups.values())
        order = [n for k in torch.randperm(len(members), generator=generator).tolist() for n in members[k]]
        buffers: list[list[Span]] = []
        size, before = 0, 0
        for number in order:
            count = int(wanted[number])
            low, high = (min(max(border - before, 0), count) for border in rows)
            before += count
            if low == high:
                continue
            if not buffers or size + high - low > buffer_rows:
                buffers.append([])
                size = 0
            buffers[-1].append(Span(number, low, high))
            size += high - low
        sizes = [sum(span.rows for span in spans) for spans in buffers]
        return cls(buffers, np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64))

    def buffer_of(self, row: int) -> int:
        """The buffer that holds the row at this place of the pass; the last one, for one behind the end."""
        found = int(np.searchsorted(self.starts, row, side="right")) - 1
        return min(found, len(self.buffers) - 1)


class BatchCuts:
    """Where the batches of a pass begin and end, in the rows that each process reads.

    One process cuts batches of `batch_size` rows; a single row left over joins the batch before, as batch norm
    needs two. Several share the rows evenly, and each cuts its own into as many batches, in twos, so that none has
    one row of a batch; where that many processes would leave a batch without rows, fewer of them have rows.

    Args:
        num_rows: of a pass.
        batch_size: rows a batch, of all processes.
    """

    def __init__(self, num_rows: int, batch_size: int) -> None:
        self.num_rows, self.batch_size = num_rows, batch_size
        whole, rest = divmod(num_rows, batch_size)
        joins_last = batch_size > 1 and rest == 1
        self.num_batches = max(1, whole + (rest > 0 and not joins_last))

    def rows(self, part: Part = WHOLE) -> tuple[int, int]:
        """Of all rows of a pass, the first that this process reads, and the one behind its last."""
        size = self._active(part.size)
        if part.rank >= size:
            return self.num_rows, self.num_rows
        return self.num_rows * part.rank // size, self.num_rows * (part.rank + 1) // size

    def cut(self, batch: int, part: Part = WHOLE) -> tuple[int, int]:
        """The rows of a batch, counted among those that this process reads."""
        first, last = self.rows(part)
        if self._active(part.size) == 1:
            stop = last - first if batch == self.num_batches - 1 else (batch + 1) * self.batch_size
            return min(batch * self.batch_size, last - first), min(stop, last - first)
        return self._even(batch, last - first), self._even(batch + 1, last - first)

    def size(self, batch: int, num_processes: int) -> int:
        """Rows of a batch in all processes together."""
        cuts = (self.cut(batch, Part(rank, num_processes)) for rank in range(num_processes))
        return sum(stop - start for start, stop in cuts)

    def _active(self, size: int) -> int:
        """How many processes have rows."""
        return max(1, min(size, self.num_rows // (2 * self.num_batches)))

    def _even(self, batch: int, rows: int) -> int:
        return rows if batch == self.num_batches else 2 * (batch * (rows // 2) // self.num_batches)
