"""A walk over augmented rows: where it stands is where the other one stands, and each process draws its own."""

import torch

from polytask.data import AugmentedExamples, Part, Targets, TensorTable
from polytask.data.augment import Mixup, Noise
from polytask.feature import NUMBERS, InputSpec
from polytask.tasks import Regression

NOISE, MIXUP = Noise(deviation=1.0), Mixup()


def make_rows(rows=30, augmentations=(NOISE, MIXUP)):
    values = {"a": torch.arange(float(rows))}
    there = {"a": torch.arange(rows) % 3 > 0}
    targets = Targets(values, there, {"a": there["a"].float()})
    table = TensorTable({NUMBERS: torch.arange(float(rows)).unsqueeze(1)}, targets)
    for augmentation in augmentations:
        augmentation.prepare(InputSpec(numbers=("x",)), [Regression("a")], {})
    return table, AugmentedExamples(table, augmentations)


def numbers(walk, count):
    return [walk.next().inputs[NUMBERS] for _ in range(count)]


def test_the_rows_are_those_of_the_other_walk():
    table, rows = make_rows()
    plain, walk = table.walk(7, 0, "t", task="a"), rows.walk(7, 0, "t", task="a")
    assert (walk.batches_per_pass, walk.batch_size, walk.num_rows) == (plain.batches_per_pass, 7, 20)
    assert (rows.num_rows, rows.tasks) == (30, ("a",))
    for _ in range(7):
        one, other = plain.next(), walk.next()
        assert other.targets["a"].equal(one.targets["a"])
        assert not other.inputs[NUMBERS].equal(one.inputs[NUMBERS])
        assert walk.state() == plain.state()


def test_it_goes_on_where_its_state_was_taken():
    _, rows = make_rows()
    for steps in (0, 1, 4, 5, 7, 13):
        walk, other = rows.walk(7, 0, "t"), rows.walk(7, 0, "t")
        numbers(walk, steps)
        other.restore(walk.state())
        assert all(a.equal(b) for a, b in zip(numbers(walk, 8), numbers(other, 8), strict=True))


def test_passes_names_seeds_and_positions_differ():
    _, rows = make_rows(augmentations=(NOISE,))
    first = rows.walk(30, 0, "t")
    walks = [first, first, rows.walk(30, 1, "t"), rows.walk(30, 0, "u")]
    noises = [walk.next() for walk in walks]
    noises = [(batch.inputs[NUMBERS][:, 0] - batch.targets["a"]).tolist() for batch in noises]
    assert len({tuple(sorted(noise)) for noise in noises}) == 4


def test_each_process_changes_its_own_part_in_its_own_way():
    _, rows = make_rows(augmentations=(NOISE,))
    drawn, seen = [], []
    for rank in range(2):
        walk = rows.walk(30, 0, "t")
        walk.part = Part(rank, 2)
        batch = walk.next()
        assert batch.num_global_rows == 30
        drawn.append(batch.inputs[NUMBERS][:, 0] - batch.targets["a"])
        seen += batch.targets["a"].tolist()
    assert sorted(seen) == list(range(30))
    assert not torch.allclose(drawn[0], drawn[1])
    walk = rows.walk(3, 0, "t")
    walk.part = Part(1, 2)
    assert walk.next().num_rows == 0, "a part without rows stays so"
