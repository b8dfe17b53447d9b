"""On batches: one change a row for all that belongs to it, and no row loses its last label."""

import pytest
import torch

from polytask.data.augment import Crop, Flip, Mixup, PaddedCrop, Rotate
from polytask.feature import InputSpec
from polytask.tasks import Classification, Regression

SPEC = InputSpec(images={"left": (1, 8, 8), "right": (1, 8, 8)})
SCALES = {name: ([0.5], [0.25]) for name in ("left", "right", "face")}


def sizes_of(augmentation, tasks, spec=SPEC):
    augmentation.prepare(spec, tasks, SCALES)
    return augmentation


@pytest.mark.parametrize("cls", [Flip, Rotate, Crop, PaddedCrop])
def test_sides_of_a_pair_move_alike_or_each_on_its_own(cls, make_batch, generator):
    pictures = torch.randn(16, 1, 8, 8)
    batch = make_batch({"left": pictures, "right": pictures.clone()}, {"a": torch.ones(16)})
    alike = sizes_of(cls(), [Regression("a")])(batch, generator)
    assert alike.inputs["left"].equal(alike.inputs["right"])
    assert not alike.inputs["left"].equal(pictures)
    assert batch.inputs["left"] is pictures, "the batch that was given stays as it is"
    apart = sizes_of(cls(together=False), [Regression("a")])(batch, generator)
    assert not apart.inputs["left"].equal(apart.inputs["right"])
    only = sizes_of(cls(columns=("right",)), [Regression("a")])(batch, generator)
    assert only.inputs["left"] is pictures
    assert not only.inputs["right"].equal(pictures)
    assert only.targets["a"] is batch.targets["a"]


def test_the_same_generator_gives_the_same_batch(make_batch):
    batch = make_batch({"left": torch.randn(6, 1, 8, 8), "right": torch.randn(6, 1, 8, 8)}, {"a": torch.ones(6)})
    turn = sizes_of(Rotate(), [Regression("a")])
    first, again, other = (turn(batch, torch.Generator().manual_seed(seed)).inputs["left"] for seed in (3, 3, 4))
    assert first.equal(again)
    assert not first.equal(other)


def test_targets_with_a_place_move_along(make_batch, placed, generator):
    spec = InputSpec(images={"face": (1, 6, 8)})
    tasks = [placed["mask"], placed["boxes"], placed["points"], Classification("kind")]
    picture = torch.zeros(4, 1, 6, 8)
    picture[:, :, 1:3, 2:5] = 1
    targets = {
        "mask": picture[:, 0].long(),
        "boxes": torch.tensor([[[2.0, 1.0, 5.0, 3.0, 7.0], [0.0] * 5]]).repeat(4, 1, 1),  # the fifth is its class
        "points": torch.tensor([[[2.5, 1.5]]]).repeat(4, 1, 1),
        "kind": torch.ones(4),
    }
    there = torch.tensor([True, False]).reshape(1, 2, 1).expand(4, 2, 5)
    batch = make_batch({"face": picture}, targets, {"boxes": there})
    moved = sizes_of(Flip(probability=1.0), tasks, spec)(batch, generator)
    assert moved.targets["mask"].equal(moved.inputs["face"][:, 0].long())
    assert moved.targets["boxes"][0].tolist() == [[3.0, 1.0, 6.0, 3.0, 7.0], [0.0] * 5]
    assert moved.targets["points"][0].tolist() == [[5.5, 1.5]]
    assert moved.present["boxes"].equal(there)
    assert moved.targets["kind"] is targets["kind"]
    shifted = sizes_of(PaddedCrop(padding=0.25), tasks, spec)(batch, generator)
    new = shifted.present["mask"] == 0
    assert new.any()
    assert not shifted.weight["mask"][new].any()


def test_a_row_keeps_its_last_label(make_batch, placed, generator):
    spec = InputSpec(images={"face": (1, 10, 10)})
    boxes = torch.tensor([[[0.0, 0.0, 2.0, 2.0]], [[4.0, 4.0, 6.0, 6.0]]]).repeat(50, 1, 1)
    picture = torch.randn(100, 1, 10, 10)
    batch = make_batch({"face": picture}, {"boxes": boxes})
    crop = sizes_of(Crop(area=(0.2, 0.4), visible=0.5), [placed["boxes"]], spec)
    moved = crop(batch, generator)
    assert moved.present["boxes"].flatten(1).any(dim=1).all()
    stayed = torch.tensor([now.equal(before) for now, before in zip(moved.inputs["face"], picture, strict=True)])
    assert stayed[::2].sum() > 20, "a box in the corner mostly leaves"
    assert stayed[1::2].sum() < stayed[::2].sum()
    assert moved.targets["boxes"][stayed].equal(boxes[stayed])


def test_masks_of_a_mixture_both_move(make_batch, placed, generator):
    spec = InputSpec(images={"face": (1, 8, 8)})
    picture = torch.rand(6, 1, 8, 8).round()
    batch = make_batch({"face": picture}, {"mask": picture[:, 0]})
    mixed = sizes_of(Mixup(alpha=1.0), [placed["mask"]], spec)(batch, generator)
    moved = sizes_of(Flip(probability=1.0), [placed["mask"]], spec)(mixed, generator)
    assert moved.targets["mask"].equal(mixed.targets["mask"].flip(2))
    assert moved.partner.targets["mask"].equal(mixed.partner.targets["mask"].flip(2))
    assert moved.inputs["face"].equal(mixed.inputs["face"].flip(3))


def test_sentences(placed):
    task = Regression("a")
    with pytest.raises(ValueError, match=r"augmentation flip: there is no picture column among the inputs"):
        Flip().prepare(InputSpec(numbers=("x",)), [task], {})
    with pytest.raises(ValueError, match=r"augmentation rotate: 'lefd' is no picture column; did you mean 'left'"):
        Rotate(columns=("lefd",)).prepare(SPEC, [task], SCALES)
    with pytest.raises(ValueError, match=r"crop: area=\[0.9, 0.5\], two numbers in order from 0.001 to 1"):
        Crop(area=(0.9, 0.5))
    with pytest.raises(ValueError, match=r"rotate: degrees=200.0, a number from 0 to 180 is wanted"):
        Rotate(degrees=200.0)
    with pytest.raises(ValueError, match="columns is empty"):
        Flip(columns=()).prepare(SPEC, [task], SCALES)
    with pytest.raises(
        ValueError, match=r"task 'boxes' has its place in a picture, but there are 2, each with a change"
    ):
        Flip(together=False).prepare(SPEC, [placed["boxes"]], SCALES)
    unequal = InputSpec(images={"left": (1, 8, 8), "right": (1, 4, 4)})
    with pytest.raises(ValueError, match=r"of different sizes \(left, right\); name one: columns: \[left\]"):
        Flip().prepare(unequal, [placed["mask"]], SCALES)
