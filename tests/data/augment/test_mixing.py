"""Mixup and CutMix with several targets: λ·L(a) + (1 − λ)·L(b), and a missing label does not count."""

import pytest
import torch

from polytask.data.augment import CutMix, Mixup
from polytask.data.augment.mixing import drawn_shares
from polytask.feature import CATEGORIES, NUMBERS, InputSpec, SequenceSpec, mask_of
from polytask.tasks import Classification, Regression, Similarity

ROWS = 12
SPEC = InputSpec(
    numbers=("x", "y"),
    categories=(("c", 5),),
    images={"photo": (1, 6, 6)},
    vectors={"v": 3},
    sequences={"words": SequenceSpec(num_codes=9), "wave": SequenceSpec(channels=1)},
)
TASKS = [Regression("price"), Classification("sold")]


def full_batch(make_batch):
    generator = torch.Generator().manual_seed(1)
    mask = torch.arange(4) < torch.randint(1, 5, (ROWS, 1), generator=generator)
    inputs = {
        NUMBERS: torch.randn(ROWS, 2, generator=generator),
        CATEGORIES: torch.randint(5, (ROWS, 1), generator=generator),
        "photo": torch.randn(ROWS, 1, 6, 6, generator=generator),
        "v": torch.randn(ROWS, 3, generator=generator),
        "words": torch.randint(2, 9, (ROWS, 4), generator=generator) * mask,
        mask_of("words"): mask,
        "wave": torch.randn(ROWS, 4, 1, generator=generator) * mask.unsqueeze(2),
        mask_of("wave"): mask,
    }
    targets = {"price": torch.randn(ROWS, generator=generator), "sold": torch.randint(3, (ROWS,), generator=generator)}
    there = torch.rand(ROWS, generator=generator) > 0.4
    return make_batch(inputs, targets, {"price": there})


def test_inputs_are_mixed_and_labels_weighted(make_batch):
    batch = full_batch(make_batch)
    mixup = Mixup(alpha=1.0)
    mixup.prepare(SPEC, TASKS, {})
    mixed = mixup(batch, torch.Generator().manual_seed(2))
    # λ from the weights; the other row from its labels.
    lam = mixed.weight["sold"]
    assert ((lam >= 0.5) & (lam <= 1)).all()
    torch.testing.assert_close(mixed.partner.weight["sold"], 1 - lam)
    generator = torch.Generator().manual_seed(2)
    torch.rand((), generator=generator)
    share = drawn_shares(ROWS, 1.0, generator)
    order = torch.randperm(ROWS, generator=generator)
    torch.testing.assert_close(lam, torch.maximum(share, 1 - share).float())
    for name in (NUMBERS, "photo", "v", "wave"):
        own = batch.inputs[name]
        wide = lam.reshape(-1, *[1] * (own.ndim - 1))
        torch.testing.assert_close(mixed.inputs[name], wide * own + (1 - wide) * own[order])
    for name in (CATEGORIES, "words", mask_of("words")):
        assert mixed.inputs[name].equal(batch.inputs[name])
    longer = batch.inputs[mask_of("wave")] | batch.inputs[mask_of("wave")][order]
    assert mixed.inputs[mask_of("wave")].equal(longer)
    assert mixed.partner.targets["sold"].equal(batch.targets["sold"][order])
    assert mixed.labelled == batch.labelled
    assert mixed.partner.labelled == batch.labelled


@pytest.mark.parametrize(
    "augmentation", [Mixup(alpha=1.0), CutMix(alpha=1.0, probability=1.0)], ids=["mixup", "cutmix"]
)
def test_the_loss_is_the_papers(augmentation, make_batch):
    batch = full_batch(make_batch)
    augmentation.prepare(SPEC, TASKS, {})
    mixed = augmentation(batch, torch.Generator().manual_seed(3))
    lam = mixed.weight["sold"].double()
    outputs = torch.randn(ROWS, 3, dtype=torch.float64)
    total, count = mixed.loss(TASKS[1], outputs)
    own, other = (
        torch.nn.functional.cross_entropy(outputs, side.targets["sold"], reduction="none")
        for side in (mixed, mixed.partner)
    )
    torch.testing.assert_close(total / count, (lam * own + (1 - lam) * other).mean())
    # Of a task with missing labels: only those that are there, each with its share.
    output = torch.randn(ROWS, dtype=torch.float64)
    total, count = mixed.loss(TASKS[0], output)
    sides = [(mixed, lam), (mixed.partner, 1 - lam)]
    terms = [(output - side.targets["price"]) ** 2 * share for side, share in sides]
    kept = [side.present["price"].double() for side, _ in sides]
    assert any((mask == 0).any() for mask in kept)
    torch.testing.assert_close(total, sum((term * mask).sum() for term, mask in zip(terms, kept, strict=True)))
    torch.testing.assert_close(count, sum((share * mask).sum() for (_, share), mask in zip(sides, kept, strict=True)))


def test_cutmix_pastes_and_counts_pixels(make_batch):
    batch = full_batch(make_batch)
    rows = torch.arange(float(ROWS)).reshape(-1, 1, 1, 1).expand(ROWS, 1, 6, 6)
    batch.inputs["photo"] = rows.clone()
    cutmix = CutMix(probability=1.0)
    cutmix.prepare(SPEC, TASKS, {})
    mixed = cutmix(batch, torch.Generator().manual_seed(4))
    photo = mixed.inputs["photo"][:, 0]
    for row in range(ROWS):
        values, counts = photo[row].unique(return_counts=True)
        assert len(values) <= 2
        own = int(counts[values == row].sum())
        others = [int(value) for value in values if value != row]
        assert own, "a row keeps some of its own"
        if others:
            assert float(mixed.weight["sold"][row]) == pytest.approx(own / 36)
            assert int(mixed.partner.targets["sold"][row]) == int(batch.targets["sold"][others[0]])
    assert (photo != rows[:, 0]).any()
    assert mixed.inputs[NUMBERS].equal(batch.inputs[NUMBERS])


def test_a_row_never_becomes_the_other_one(make_batch):
    spec = InputSpec(images={"photo": (1, 2, 2)})
    rows = torch.arange(20.0).reshape(-1, 1, 1, 1).expand(20, 1, 2, 2).clone()
    batch = make_batch({"photo": rows}, {"price": torch.ones(20)})
    cutmix = CutMix(alpha=0.05, probability=1.0)
    cutmix.prepare(spec, TASKS[:1], {})
    for seed in range(20):
        mixed = cutmix(batch, torch.Generator().manual_seed(seed))
        own = (mixed.inputs["photo"] == rows).flatten(1).float().mean(dim=1)
        assert (own > 0).all()
        assert ((mixed.weight["price"] - own).abs() < 1e-6)[mixed.partner.targets["price"] > 0].any()
        assert (mixed.weight["price"] > 0).all()


def test_cutmix_pastes_masks_along(make_batch, placed):
    spec = InputSpec(images={"photo": (1, 6, 6)})
    rows = torch.arange(float(ROWS)).reshape(-1, 1, 1, 1).expand(ROWS, 1, 6, 6).clone()
    there = torch.ones(ROWS, 6, 6, dtype=torch.bool)
    there[0, 1:] = False
    batch = make_batch({"photo": rows}, {"mask": rows[:, 0].long()}, {"mask": there})
    cutmix = CutMix(probability=1.0)
    cutmix.prepare(spec, [placed["mask"]], {})
    for seed in range(20):
        mixed = cutmix(batch, torch.Generator().manual_seed(seed))
        assert mixed.targets["mask"].equal(mixed.inputs["photo"][:, 0].long())
        assert mixed.weight["mask"].equal(mixed.present["mask"].float())
        assert not mixed.partner.weight["mask"].any()
        assert mixed.present["mask"].flatten(1).any(dim=1).all()


def test_a_batch_is_mixed_once(make_batch):
    batch = full_batch(make_batch)
    mixup, cutmix = Mixup(), CutMix(probability=1.0)
    for one in (mixup, cutmix):
        one.prepare(SPEC, TASKS, {})
    mixed = mixup(batch, torch.Generator())
    assert cutmix(mixed, torch.Generator()) is mixed
    never = Mixup(probability=0.0)
    never.prepare(SPEC, TASKS, {})
    assert never(batch, torch.Generator()) is batch


def test_a_single_row_has_nobody_to_mix_with(make_batch):
    batch = make_batch({NUMBERS: torch.ones(1, 2)}, {"price": torch.ones(1)})
    mixup = Mixup()
    mixup.prepare(InputSpec(numbers=("x", "y")), TASKS[:1], {})
    assert mixup(batch, torch.Generator()) is batch


def test_sentences(placed):
    for cls in (Mixup, CutMix):
        with pytest.raises(ValueError, match=rf"{cls.name}: task 'same' \(similarity\) compares rows with each other"):
            cls().prepare(SPEC, [Similarity("same")], {})
        with pytest.raises(ValueError, match=r"the target of task 'boxes' \(regression\) is made of places in its row"):
            cls().prepare(SPEC, [placed["boxes"]], {})
    with pytest.raises(ValueError, match="all inputs are categories or tokens, which have no mixture"):
        Mixup().prepare(InputSpec(categories=(("c", 3),)), TASKS, {})
    with pytest.raises(ValueError, match="cutmix: there is no picture column"):
        CutMix().prepare(InputSpec(numbers=("x",)), TASKS, {})
    with pytest.raises(ValueError, match=r"mixup: alpha=0.0, a number from 0.001 to 1000"):
        Mixup(alpha=0.0)
    with pytest.raises(ValueError, match="of different sizes, so that a rectangle is not the same share"):
        CutMix().prepare(InputSpec(images={"a": (1, 4, 4), "b": (1, 5, 5)}), TASKS, {})
