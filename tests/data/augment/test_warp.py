"""A warp moves pictures, masks, boxes and keypoints to the same places."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polytask.data.augment import Crop, Flip, PaddedCrop, Rotate

MOVES = [
    Rotate(degrees=40.0),
    Rotate(degrees=180.0),
    Crop(area=(0.4, 0.9)),
    PaddedCrop(padding=0.2),
    Flip(probability=0.5, vertical=0.5),
]
IDS = ["rotate", "turn", "crop", "padded_crop", "flip"]


def smooth_pictures(rows, height, width):
    """Pictures whose two channels are the place (x, y) of each pixel, so that a pixel tells where it came from."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y]).repeat(rows, 1, 1, 1)


@pytest.mark.parametrize(
    "augmentation",
    [
        Rotate(degrees=0.0),
        Crop(area=(1.0, 1.0), ratio=(1.0, 1.0)),
        PaddedCrop(padding=0.0),
        Flip(probability=0.0),
        Rotate(probability=0.0),
    ],
)
def test_no_change_is_the_identity_bit_for_bit(augmentation, generator):
    pictures, masks = torch.randn(4, 3, 7, 9), torch.randint(9, (4, 7, 9))
    boxes, points = torch.rand(4, 3, 4), torch.rand(4, 5, 2) * 20
    moved = augmentation.move(images=pictures, masks=masks, boxes=boxes, keypoints=points, generator=generator)
    assert moved.images.equal(pictures)
    assert moved.masks.equal(masks)
    assert moved.boxes.equal(boxes)
    assert moved.keypoints.equal(points)
    assert moved.is_box.all()
    assert moved.is_keypoint.all()


def test_a_picture_mirrored_twice_is_itself(generator):
    flip = Flip(probability=1.0, vertical=1.0)
    pictures, boxes = torch.randn(3, 1, 5, 8), torch.tensor([[[1.0, 1.0, 3.0, 2.0]]]).repeat(3, 1, 1)
    once = flip.move(images=pictures, boxes=boxes, generator=generator)
    assert once.images.equal(pictures.flip(2, 3))
    assert once.boxes[0, 0].tolist() == [5.0, 3.0, 7.0, 4.0]
    twice = flip.move(images=once.images, boxes=once.boxes, generator=generator)
    assert twice.images.equal(pictures)
    assert twice.boxes.equal(boxes)


@pytest.mark.parametrize("augmentation", MOVES, ids=IDS)
def test_a_picture_that_equals_its_mask_still_does(augmentation, generator):
    masks = (torch.rand(6, 5, 6, generator=generator) > 0.5).repeat_interleave(6, 1).repeat_interleave(6, 2)
    moved = augmentation.move(images=masks.unsqueeze(1).float(), masks=masks.long(), void=0, generator=generator)
    # The nearest pixel of a mask has the largest share of the interpolated picture, but where labels meet.
    alike = (moved.images[:, 0] > 0.5) == (moved.masks == 1)
    assert alike.float().mean() > 0.97
    inner = (moved.images[:, 0] < 1e-3) | (moved.images[:, 0] > 1 - 1e-3)
    assert alike[inner].all()


@pytest.mark.parametrize("augmentation", MOVES, ids=IDS)
def test_pixels_come_from_where_keypoints_say(augmentation, generator):
    height, width = 24, 32
    pictures = smooth_pictures(5, height, width)
    points = torch.rand(5, 40, 2, generator=generator) * torch.tensor([width, height])
    moved = augmentation.move(images=pictures, keypoints=points, generator=generator)
    checked = 0
    for row, point in moved.is_keypoint.nonzero().tolist():
        x, y = (float(part) for part in moved.keypoints[row, point])
        if not (2 < x < width - 2 and 2 < y < height - 2):
            continue
        pixel = moved.images[row, :, int(y), int(x)]  # its centre is up to half a pixel off in x and in y
        if not (1 < points[row, point, 0] < width - 1 and 1 < points[row, point, 1] < height - 1):
            continue
        assert (pixel - points[row, point]).norm() < 1.0
        checked += 1
    assert checked > 30


@pytest.mark.parametrize("augmentation", MOVES[2:], ids=IDS[2:])
@given(seed=st.integers(0, 10_000))
def test_the_box_of_a_drawn_rectangle_moves_as_the_drawing_does(augmentation, seed):
    generator = torch.Generator().manual_seed(seed)
    height, width = 40, 60
    boxes = torch.tensor([[[12.0, 8.0, 45.0, 30.0]]]).repeat(4, 1, 1)
    pictures = torch.zeros(4, 1, height, width)
    pictures[:, :, 8:30, 12:45] = 1
    moved = augmentation.move(images=pictures, boxes=boxes, generator=generator)
    for row in range(4):
        rows, columns = (moved.images[row, 0] > 0.5).nonzero().unbind(1)
        assert moved.is_box[row, 0]
        drawn = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert (moved.boxes[row, 0] - drawn).abs().max() <= 1.0


@given(seed=st.integers(0, 10_000))
def test_the_box_of_a_turned_rectangle_is_the_smallest_around_it(seed):
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.tensor([[[30.0, 34.0, 70.0, 60.0]]])
    masks = torch.zeros(1, 100, 100, dtype=torch.bool)
    masks[:, 34:60, 30:70] = True
    moved = Rotate(degrees=180.0).move(masks=masks, boxes=boxes, generator=generator)
    rows, columns = moved.masks[0].nonzero().unbind(1)
    drawn = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert (moved.boxes[0, 0] - drawn).abs().max() <= 1.0


def test_a_quarter_turn_is_exact():
    warp = Rotate(degrees=90.0).warp(torch.tensor([[90.0], [-90.0]]), 5, 5)
    masks = torch.arange(50).reshape(2, 5, 5)
    turned = warp.masks(masks, void=-1)
    assert turned[0].equal(masks[0].rot90(-1, (0, 1)))  # clockwise as the picture is seen
    assert turned[1].equal(masks[1].rot90(1, (0, 1)))
    assert torch.allclose(warp.images(masks.unsqueeze(1).float())[:, 0], turned.float(), atol=1e-4)


def test_what_was_not_there_is_void_in_a_mask_and_the_mean_in_a_picture():
    warp = PaddedCrop(padding=0.5).warp(torch.tensor([[0.5, 0.0]]), 2, 4)
    assert warp.masks(torch.ones(1, 2, 4, dtype=torch.long), void=255)[0].tolist() == [[255, 255, 1, 1]] * 2
    assert warp.images(torch.ones(1, 1, 2, 4))[0, 0].tolist() == [[0.0, 0.0, 1.0, 1.0]] * 2


@pytest.mark.parametrize(("visible", "kept"), [(0.24, True), (0.26, False)])
def test_a_box_that_leaves_is_cut_or_dropped(visible, kept):
    warp = PaddedCrop(padding=1.0).warp(torch.tensor([[0.5, 0.0]]), 10, 10)  # 5 pixels to the right
    boxes = torch.tensor([[[4.0, 2.0, 8.0, 6.0], [0.0, 0.0, 1.0, 1.0], [7.0, 0.0, 9.0, 1.0]]])
    found, is_box = warp.boxes(boxes, torch.tensor([[True, True, True]]), visible=visible)
    assert is_box.tolist() == [[kept, True, False]]  # a quarter of the first is left, and none of the last
    assert found[0, 0].tolist() == ([9.0, 2.0, 10.0, 6.0] if kept else [0.0] * 4)
    assert found[0, 2].tolist() == [0.0] * 4


def test_padding_stays_padding(generator):
    is_box, is_point = torch.tensor([[True, False]]), torch.tensor([[False, True]])
    boxes, points = torch.full((1, 2, 4), 3.0), torch.full((1, 2, 2), 3.0)
    boxes[..., 2:] += 2
    moved = Flip(probability=1.0).move(
        boxes=boxes, is_box=is_box, keypoints=points, is_keypoint=is_point, size=(8, 8), generator=generator
    )
    assert moved.is_box.equal(is_box)
    assert moved.is_keypoint.equal(is_point)
    assert not moved.boxes[0, 1].any()
    assert moved.keypoints.tolist() == [[[0.0, 0.0], [5.0, 3.0]]]


def test_sentences(generator):
    with pytest.raises(ValueError, match="give images or masks, or the size"):
        Flip().move(boxes=torch.ones(1, 1, 4), generator=generator)
    with pytest.raises(ValueError, match=r"one number of rows, got \[2, 3\]"):
        Flip().move(images=torch.ones(2, 1, 2, 2), boxes=torch.ones(3, 1, 4), generator=generator)
    with pytest.raises(ValueError, match="of pictures of 4×4, got 2×2"):
        Rotate().warp(torch.ones(1, 1), 4, 4).images(torch.ones(1, 1, 2, 2))
