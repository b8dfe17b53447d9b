"""Words, spectrograms, series and the numbers of a table."""

import pytest
import torch

from polytask.data.augment import Noise, Shift, SpecAugment, WordDropout, WordSwap
from polytask.feature import NUMBERS, InputSpec, SequenceSpec, mask_of
from polytask.tasks import Regression

TASKS = [Regression("a")]
WORDS = InputSpec(sequences={"words": SequenceSpec(num_codes=1000)})


def words_batch(make_batch, rows=50, length=12, tags=False):
    lengths = torch.randint(1, length + 1, (rows, 1), generator=torch.Generator().manual_seed(3))
    mask = torch.arange(length) < lengths
    words = torch.arange(2, 2 + rows * length).reshape(rows, length) * mask
    targets = {"tags": words * 10} if tags else {"a": torch.ones(rows)}
    return make_batch({"words": words, mask_of("words"): mask}, targets, {"tags": mask} if tags else None)


def test_a_dropped_word_is_the_unknown_one_and_padding_stays(make_batch, generator):
    batch = words_batch(make_batch, rows=300)
    dropout = WordDropout(probability=0.3)
    dropout.prepare(WORDS, TASKS, {})
    found, before, mask = (
        dropout(batch, generator).inputs["words"],
        batch.inputs["words"],
        batch.inputs[mask_of("words")],
    )
    changed = found != before
    assert (found[changed] == 1).all()
    assert not changed[~mask].any()
    assert float(changed[mask].float().mean()) == pytest.approx(0.3, abs=0.03)


def test_swapped_words_stay_in_reach_and_take_their_tags_along(make_batch, generator, placed):
    batch = words_batch(make_batch, tags=True)
    batch.targets["tags"] = batch.targets["tags"][:, :11]  # a batch's tags may be padded less than its words
    for kind in (batch.present, batch.weight):
        kind["tags"] = kind["tags"][:, :11]
    batch.inputs[mask_of("words")][:, 11] = False
    batch.inputs["words"] = batch.inputs["words"] * batch.inputs[mask_of("words")]
    swap = WordSwap(distance=2, probability=1.0)
    swap.prepare(WORDS, [placed["tags"]], {})
    moved = swap(batch, generator)
    words, before, mask = moved.inputs["words"], batch.inputs["words"], batch.inputs[mask_of("words")]
    assert not words.equal(before)
    assert words.sort(dim=1).values.equal(before.sort(dim=1).values)
    assert not words[~mask].any()
    assert ((words - before).abs()[mask] <= 2).all(), "words are numbered by their place"
    assert moved.targets["tags"].equal(words[:, :11] * 10)
    assert moved.present["tags"].equal(mask[:, :11])


def test_only_chosen_rows_are_swapped(make_batch, generator):
    batch = words_batch(make_batch)
    swap = WordSwap(probability=0.0)
    swap.prepare(WORDS, TASKS, {})
    assert swap(batch, generator).inputs["words"].equal(batch.inputs["words"])


def test_bands_of_a_spectrogram_are_hidden(make_batch, generator):
    spec = InputSpec(images={"mel": (1, 40, 100)})
    batch = make_batch({"mel": torch.ones(200, 1, 40, 100)}, {"a": torch.ones(200)})
    augment = SpecAugment(time=0.2, frequency=0.5, num_times=2)
    augment.prepare(spec, TASKS, {})
    hidden = augment(batch, generator).inputs["mel"][:, 0] == 0
    times, frequencies = hidden.all(dim=1), hidden.all(dim=2)
    assert hidden.equal(times.unsqueeze(1) | frequencies.unsqueeze(2)), "whole bands"
    assert 15 < int(times.sum(dim=1).max()) <= 40
    assert 15 < int(frequencies.sum(dim=1).max()) <= 20
    edges = frequencies.int().diff(dim=1, prepend=torch.zeros(200, 1), append=torch.zeros(200, 1)).abs().sum(dim=1)
    assert edges.max() == 2, "one band"
    assert float(frequencies.float().mean()) == pytest.approx(0.25, abs=0.03), "half of the widest on average"


def test_bands_of_time_lie_within_the_rows_own_length(make_batch, generator):
    spec = InputSpec(sequences={"mel": SequenceSpec(channels=8), "wave": SequenceSpec(channels=1)})
    mask = torch.arange(50) < torch.tensor([[50], [10], [0]])
    inputs = {"mel": torch.ones(3, 50, 8), mask_of("mel"): mask, "wave": torch.ones(3, 50, 1), mask_of("wave"): mask}
    augment = SpecAugment(time=0.5, num_frequencies=0, num_times=1)
    augment.prepare(spec, TASKS, {})
    for _ in range(50):
        moved = augment(make_batch(inputs, {"a": torch.ones(3)}), generator)
        hidden = (moved.inputs["mel"] == 0).all(dim=2)
        assert (hidden.sum(dim=1) <= torch.tensor([25, 5, 0])).all()
        assert not hidden[~mask].any()
        assert moved.inputs["wave"] is inputs["wave"]


@pytest.mark.parametrize("wrap", [True, False])
def test_a_series_moves_within_its_length(wrap, make_batch, generator):
    spec = InputSpec(sequences={"wave": SequenceSpec(channels=1)})
    mask = torch.arange(20) < torch.tensor([[20], [13], [1]]).repeat(30, 1)
    wave = (torch.arange(1.0, 21).reshape(1, 20) * mask).unsqueeze(2)
    batch = make_batch({"wave": wave, mask_of("wave"): mask}, {"a": torch.ones(90)})
    shift = Shift(share=0.5, wrap=wrap)
    shift.prepare(spec, TASKS, {})
    moved = shift(batch, generator).inputs["wave"][:, :, 0]
    assert not moved.equal(wave[:, :, 0])
    for row in range(90):
        length = int(mask[row].sum())
        own, rolled = wave[row, :length, 0], moved[row, :length]
        assert not moved[row, length:].any()
        offsets = [k for k in range(-length, length + 1) if _shifted(own, k, wrap).equal(rolled)]
        assert offsets, rolled.tolist()
        assert min(abs(k) for k in offsets) <= round(0.5 * length)


def _shifted(values, offset, wrap):
    rolled = values.roll(offset)
    if not wrap and offset:
        rolled[slice(0, offset) if offset > 0 else slice(offset, None)] = 0
    return rolled


def test_tags_go_round_with_their_places(make_batch, placed, generator):
    spec = InputSpec(sequences={"wave": SequenceSpec(channels=1)})
    wave = torch.arange(1.0, 11).reshape(1, 10, 1).repeat(5, 1, 1)
    batch = make_batch({"wave": wave, mask_of("wave"): torch.ones(5, 10, dtype=torch.bool)}, {"tags": wave[:, :, 0]})
    shift = Shift(share=0.5, wrap=True)
    shift.prepare(spec, [placed["tags"]], {})
    moved = shift(batch, generator)
    assert moved.targets["tags"].equal(moved.inputs["wave"][:, :, 0])
    assert not moved.targets["tags"].equal(batch.targets["tags"])
    with pytest.raises(ValueError, match="task 'tags' has a label at every place, which would be lost at one end"):
        Shift().prepare(spec, [placed["tags"]], {})


def test_noise_spares_missing_cells_and_their_indicators(make_batch, generator):
    spec = InputSpec(numbers=("x", "x is missing", "y"), vectors={"v": 4})
    numbers = torch.zeros(2000, 3)
    numbers[:1000, 1] = 1
    batch = make_batch({NUMBERS: numbers, "v": torch.zeros(2000, 4)}, {"a": torch.ones(2000)})
    noise = Noise(deviation=0.5)
    noise.prepare(spec, TASKS, {})
    found = noise(batch, generator)
    assert not found.inputs[NUMBERS][:1000, 0].any()
    assert found.inputs[NUMBERS][:, 1].equal(numbers[:, 1])
    for changed in (found.inputs[NUMBERS][1000:, 0], found.inputs[NUMBERS][:, 2], found.inputs["v"]):
        assert float(changed.std()) == pytest.approx(0.5, rel=0.06)
    only = Noise(columns=("v",), probability=0.5)
    only.prepare(spec, TASKS, {})
    found = only(batch, generator)
    assert found.inputs[NUMBERS] is numbers
    assert 900 < int(found.inputs["v"].any(dim=1).sum()) < 1100


def test_sentences(placed):
    with pytest.raises(ValueError, match="word_dropout: there is no token column"):
        WordDropout().prepare(InputSpec(numbers=("x",)), TASKS, {})
    with pytest.raises(ValueError, match="noise: 'x is missing' is no number or vector column"):
        Noise(columns=("x is missing",)).prepare(InputSpec(numbers=("x", "x is missing")), TASKS, {})
    with pytest.raises(ValueError, match="word_swap: distance=0, a number of places from 1"):
        WordSwap(distance=0)
    with pytest.raises(ValueError, match="no band is hidden; set time or frequency above 0"):
        SpecAugment(time=0.0, frequency=0.0)
    two = InputSpec(sequences={"q": SequenceSpec(num_codes=9), "d": SequenceSpec(num_codes=9)})
    with pytest.raises(
        ValueError, match=r"the tags of task 'tags' go with one of q, d alone; name that one: columns: \[q\]"
    ):
        WordSwap().prepare(two, [placed["tags"]], {})
