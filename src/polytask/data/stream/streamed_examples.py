"""The training rows of a streamed table, and the walk over them: read, encoded and shuffled a buffer at a time."""

import weakref
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from polytask.data.batch import WHOLE, Batch, Examples, Part, Walk
from polytask.data.parts import TRAIN, Split
from polytask.data.stream.agreed import agreed_labels
from polytask.data.stream.encoding import Encoded, PieceEncoder, rows_of
from polytask.data.stream.pass_plan import BatchCuts, PassPlan, Span
from polytask.data.stream.pieces import PIECE_ROWS, Piece, PieceReader
from polytask.data.tensor_table import POOL, TensorTable, check_batch_size, generator_of
from polytask.feature import InputSpec

#: Two buffers are held at once, each of at most this many bytes of inputs.
BUFFER_BYTES = 2**28


def rows_in_buffer(spec: InputSpec, most: int) -> int:
    """How many rows a buffer has: `most`, or as many as fit its bytes (pictures are large)."""
    example = spec.example(1)
    bytes_a_row = sum(block.numel() * block.element_size() for block in example.values())
    return max(1, min(most, BUFFER_BYTES // max(bytes_a_row, 1)))


class StreamedExamples(Examples):
    """The encoded rows of the training part of a streamed table: never in memory all at once.

    Args:
        encoder: reads and encodes pieces.
        split: of the table.
        buffer_rows: rows that are shuffled together.
        device: where the batches are wanted.

    Raises:
        SchemaError: a column is not there.
    """

    def __init__(
        self, encoder: PieceEncoder, split: Split, buffer_rows: int, device: torch.device | str = "cpu"
    ) -> None:
        self.encoder, self.split, self.device = encoder, split, device
        self.tasks = tuple(task.name for task in encoder.tasks)
        self.buffer_rows = rows_in_buffer(encoder.preprocessor.spec, buffer_rows)
        self.pieces: Sequence[Piece] = encoder.table.pieces(min(PIECE_ROWS, self.buffer_rows))
        labels = encoder.table.has_labels(encoder.tasks)
        is_training = split.parts == TRAIN
        self.num_rows = int(is_training.sum())
        #: By task that some training rows have no label of, the rows with one.
        self.partly_labelled = {name: rows for name, rows in labels.items() if not rows[is_training].all()}
        #: Whether a batch may lack a label of some task: then several processes have to agree on which. Labels may
        #: weigh nothing, and a list may hold none.
        self.may_lack_labels = bool(self.partly_labelled) or any(
            task.weight_columns or getattr(task, "class_weight", None) or task.kind in ("tagging", "vector_regression")
            for task in encoder.tasks
        )

    def walk(self, batch_size: int, seed: int, name: str = "", *, task: str | None = None) -> "StreamedWalk":
        """See `Examples.walk`."""
        walk = StreamedWalk(self, batch_size, seed, name, task if task in self.partly_labelled else None)
        if walk.num_rows < 2 and task is not None:  # batch norm needs two
            walk = StreamedWalk(self, batch_size, seed, name)
        return walk

    def places(self, piece: Piece, task: str | None) -> np.ndarray:
        """The wanted rows of a piece, by their places in it: training rows, with a label of the task."""
        here = slice(piece.first, piece.first + piece.rows)
        wanted = self.split.parts[here] == TRAIN
        return np.flatnonzero(wanted if task is None else wanted & self.partly_labelled[task][here])

    def read(self, reader: PieceReader, spans: Sequence[Span], task: str | None) -> TensorTable:
        """The rows of these spans, encoded, on the device."""
        blocks = []
        for span in spans:
            piece = self.pieces[span.piece]
            blocks.append(self.encoder.encode(reader, piece, self.places(piece, task)[span.low : span.high]))
        return Encoded.joined(blocks).table(self.device)


class StreamedWalk(Walk):
    """An endless, reshuffled, saveable walk over streamed rows.

    In pass p the order of the row groups is drawn from (seed, name, p). Row groups, one behind the other, fill a
    buffer; its rows are shuffled by (seed, name, p, number of the buffer), and batches are cut from one buffer after
    the other, so that one may have rows of two. The next buffer is read and encoded by a thread while batches are
    taken from this one; at most two are held. A restored walk reads the buffer it stood in, and none before it.

    Of several processes each reads the row groups of its own rows alone (two may both read one that a border cuts),
    and gives its part of every batch.

    Args:
        examples: the rows.
        batch_size: rows a batch; more than there are: all rows make one batch.
        seed: of the order.
        name: of the table, so that several walk differently.
        task: only rows with a label of this one.

    Raises:
        ValueError: a batch size below 1.
    """

    def __init__(
        self, examples: StreamedExamples, batch_size: int, seed: int, name: str = "", task: str | None = None
    ) -> None:
        super().__init__()
        check_batch_size(batch_size)
        self.examples, self.seed, self.name, self.task = examples, seed, name, task
        self.wanted = np.array([len(examples.places(piece, task)) for piece in examples.pieces])
        self.num_rows = int(self.wanted.sum())
        self.batch_size = max(1, min(batch_size, self.num_rows))
        self.cuts = BatchCuts(self.num_rows, self.batch_size)
        self._plans: dict[tuple[int, Part], PassPlan] = {}
        self._held: dict[tuple[int, int, Part], Future[tuple[TensorTable, Tensor]]] = {}
        self._reader = examples.encoder.reader()  # for the thread alone
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="polytask-stream")
        weakref.finalize(self, self._reading.shutdown, wait=False, cancel_futures=True)

    @property
    def batches_per_pass(self) -> int:
        """Batches in which every row comes once."""
        return self.cuts.num_batches

    def next(self) -> Batch:
        """The next batch; after the last of a pass comes the first of the next, in a new order.

        Raises:
            SchemaError: a file changed or cannot be read, or a cell in it; names file, row group, column and row.
        """
        if self._position == self.batches_per_pass:
            self._pass, self._position = self._pass + 1, 0
        start, stop = self.cuts.cut(self._position, self.part)
        batch = self._batch(start, stop)
        if self.part.size > 1:
            labelled = batch.labelled if stop > start else ()
            if self.examples.may_lack_labels:
                labelled = agreed_labels(self.examples.tasks, labelled)
            else:
                labelled = self.examples.tasks
            size = self.cuts.size(self._position, self.part.size)
            batch = replace(batch, labelled=labelled if stop > start else (), num_global_rows=size)
        self._position += 1
        return batch

    def _batch(self, start: int, stop: int) -> Batch:
        """The rows from `start` to before `stop` of this process's rows of the pass."""
        plan = self._plan(self._pass)
        number = plan.buffer_of(start)
        parts: list[Encoded] = []
        while True:
            table, order = self._buffer(number)
            before, behind = int(plan.starts[number]), int(plan.starts[number + 1])
            index = order[start - before : min(stop, behind) - before]
            if stop <= behind and not parts:
                return table.batch(index)
            parts.append(rows_of(table, index))
            if stop <= behind:
                joined = Encoded.joined(parts).table(self.examples.device)
                return joined.batch(torch.arange(joined.num_rows))
            start, number = behind, number + 1

    def _plan(self, number: int) -> PassPlan:
        """The plan of a pass."""
        key = number, self.part
        if key not in self._plans:
            for old in [old for old in self._plans if old[1] != self.part or not 0 <= number - old[0] <= 1]:
                del self._plans[old]
            for rows in (self.cuts.rows(self.part), (0, 1)):
                generator = generator_of(self.seed, self.name, number)
                pieces, most = self.examples.pieces, self.examples.buffer_rows
                self._plans[key] = PassPlan.draw(pieces, self.wanted, generator, most, rows)
                # A process without rows reads one: it says what a batch of none looks like.
                if self._plans[key].buffers:
                    break
        return self._plans[key]

    def _buffer(self, number: int) -> tuple[TensorTable, Tensor]:
        """A buffer of this pass and the order of its rows; the one behind it is being read from now on."""
        here = self._pass, number
        is_last = number + 1 == len(self._plan(self._pass).buffers)
        following = (self._pass + 1, 0) if is_last else (self._pass, number + 1)
        for key in [key for key in self._held if key[:2] not in (here, following) or key[2] != self.part]:
            self._held.pop(key).cancel()
        found = self._asked(*here).result()
        self._asked(*following)
        return found

    def _asked(self, number_of_pass: int, number: int) -> Future[tuple[TensorTable, Tensor]]:
        key = number_of_pass, number, self.part
        if key not in self._held:
            plan = self._plan(number_of_pass)
            name = f"{self.name}\0buffer {number}" + (f" of {self.part.rank}" if self.part != WHOLE else "")
            generator = generator_of(self.seed, name, number_of_pass)
            ahead = -int(plan.starts[number]) % self.batch_size
            self._held[key] = self._reading.submit(
                _read, self.examples, self._reader, plan.buffers[number], self.task, generator, self.batch_size, ahead
            )
        return self._held[key]


def _read(
    examples: StreamedExamples,
    reader: PieceReader,
    spans: Sequence[Span],
    task: str | None,
    generator: torch.Generator,
    batch_size: int,
    ahead: int,
) -> tuple[TensorTable, Tensor]:
    """A buffer and the order of its rows. It knows nothing of the walk, which may be gone by then."""
    table = examples.read(reader, spans, task)
    order = torch.randperm(table.num_rows, generator=generator)
    if table.lengths is not None:
        order = _by_length(order, table.lengths, generator, batch_size, ahead)
    return table, order


def _by_length(order: Tensor, lengths: Tensor, generator: torch.Generator, batch_size: int, ahead: int) -> Tensor:
    """The same rows, those of like length in one batch.

    Args:
        order: of rows.
        lengths: of every row.
        generator: of the order of batches.
        batch_size: rows a batch.
        ahead: how many rows come first that belong to a batch of the buffer before.
    """
    first, rest = order[:ahead], order[ahead:]
    pools = [pool[lengths[pool].argsort(stable=True)] for pool in rest.split(POOL * batch_size)]
    batches = list(torch.cat(pools).split(batch_size)) if pools and len(rest) else []
    whole = [batch for batch in batches if len(batch) == batch_size]
    shuffled = [whole[k] for k in torch.randperm(len(whole), generator=generator).tolist()]
    return torch.cat([first, *shuffled, *batches[len(whole) :]])
