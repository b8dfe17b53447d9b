"""Blur, colours and erased parts of pictures."""

import colorsys

import numpy as np
import pytest
import torch
from scipy import ndimage

from polytask.data.augment import Blur, ColorJitter, Erase
from polytask.feature import InputSpec
from polytask.tasks import Regression

TASKS = [Regression("a")]
MEAN, DEVIATION = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
SCALES = {"photo": (MEAN, DEVIATION), "scan": ([0.5], [0.1])}


PHOTO = InputSpec(images={"photo": (3, 12, 16)})


def ready(augmentation, spec=PHOTO):
    augmentation.prepare(spec, TASKS, SCALES)
    return augmentation


def normalised(pixels):
    return (pixels - torch.tensor(MEAN).reshape(1, 3, 1, 1)) / torch.tensor(DEVIATION).reshape(1, 3, 1, 1)


def as_pixels(pictures):
    return pictures * torch.tensor(DEVIATION).reshape(1, 3, 1, 1) + torch.tensor(MEAN).reshape(1, 3, 1, 1)


def photo_batch(make_batch, pixels):
    return make_batch({"photo": normalised(pixels)}, {"a": torch.ones(len(pixels))})


def test_blur_is_scipys(make_batch, generator):
    pixels = torch.rand(4, 3, 12, 16)
    batch = photo_batch(make_batch, pixels)
    found = ready(Blur(deviation=(1.3, 1.3), probability=1.0))(batch, generator).inputs["photo"]
    expected = ndimage.gaussian_filter(
        batch.inputs["photo"].double().numpy(), (0, 0, 1.3, 1.3), mode="mirror", radius=(0, 0, 4, 4)
    )
    torch.testing.assert_close(found, torch.from_numpy(expected).float(), atol=1e-5, rtol=1e-5)


def test_a_wide_blur_fits_a_small_picture(make_batch, generator):
    spec = InputSpec(images={"photo": (3, 4, 3)})
    batch = make_batch({"photo": torch.rand(2, 3, 4, 3)}, {"a": torch.ones(2)})
    found = ready(Blur(deviation=(20.0, 20.0), probability=1.0), spec)(batch, generator).inputs["photo"]
    assert found.shape == (2, 3, 4, 3)
    assert found.std() < batch.inputs["photo"].std() / 2


def test_only_chosen_rows_change(make_batch, generator):
    pixels = torch.rand(400, 3, 12, 16)
    batch = photo_batch(make_batch, pixels)
    for augmentation in (Blur(probability=0.25), ColorJitter(probability=0.25), Erase(probability=0.25)):
        found = ready(augmentation)(batch, generator).inputs["photo"]
        changed = (found != batch.inputs["photo"]).flatten(1).any(dim=1)
        assert 60 < int(changed.sum()) < 140, augmentation.name


@pytest.mark.parametrize(("setting", "most"), [("brightness", 0.5), ("contrast", 0.5), ("saturation", 0.5)])
def test_a_colour_changes_by_its_formula(setting, most, make_batch):
    pixels = 0.3 + 0.2 * torch.rand(6, 3, 12, 16)
    settings = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, "probability": 1.0, setting: most}
    jitter = ready(ColorJitter(**settings))
    found = as_pixels(jitter(photo_batch(make_batch, pixels), torch.Generator().manual_seed(5)).inputs["photo"])
    factors = jitter._drawn(6, torch.Generator().manual_seed(5))[1:4]
    factor = factors[["brightness", "contrast", "saturation"].index(setting)].reshape(6, 1, 1, 1)
    grey = (pixels * torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    base = {"brightness": torch.zeros(()), "contrast": grey.mean(dim=(2, 3), keepdim=True), "saturation": grey}[setting]
    assert (factor - 1).abs().max() > 0.1
    torch.testing.assert_close(found, (factor * pixels + (1 - factor) * base).clamp(0, 1), atol=1e-5, rtol=1e-5)


def test_hue_turns_as_colorsys_does(make_batch):
    pixels = torch.rand(2, 3, 12, 16) * 0.8 + 0.1
    jitter = ready(ColorJitter(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.2, probability=1.0))
    found = as_pixels(jitter(photo_batch(make_batch, pixels), torch.Generator().manual_seed(1)).inputs["photo"])
    angle = jitter._drawn(2, torch.Generator().manual_seed(1))[4]
    for row in range(2):
        for i, j in ((0, 0), (3, 7), (11, 15)):
            hue, saturation, value = colorsys.rgb_to_hsv(*pixels[row, :, i, j].tolist())
            expected = colorsys.hsv_to_rgb((hue + float(angle[row]) / (2 * np.pi)) % 1, saturation, value)
            assert found[row, :, i, j].tolist() == pytest.approx(expected, abs=1e-4)


def test_colours_stay_between_0_and_1(make_batch, generator):
    found = as_pixels(
        ready(ColorJitter(brightness=1.0, contrast=1.0))(
            photo_batch(make_batch, torch.rand(9, 3, 12, 16)), generator
        ).inputs["photo"]
    )
    assert found.min() > -1e-5
    assert found.max() < 1 + 1e-5


def test_a_grey_picture_has_no_hue(make_batch, generator):
    spec = InputSpec(images={"scan": (1, 5, 5)})
    batch = make_batch({"scan": torch.randn(3, 1, 5, 5)}, {"a": torch.ones(3)})
    assert ready(ColorJitter(), spec)(batch, generator).inputs["scan"].shape == (3, 1, 5, 5)
    with pytest.raises(
        ValueError, match=r"column 'scan' has 1 channel\(s\), so that saturation and hue change nothing"
    ):
        ready(ColorJitter(brightness=0.0, contrast=0.0), spec)


def test_what_is_erased_is_a_rectangle_of_the_size_asked_for(make_batch, generator):
    spec = InputSpec(images={"photo": (3, 40, 60)})
    batch = make_batch({"photo": torch.rand(50, 3, 40, 60) + 1}, {"a": torch.ones(50)})
    found = ready(Erase(area=(0.1, 0.2), probability=1.0), spec)(batch, generator).inputs["photo"]
    hidden = found == 0
    assert hidden.all(dim=1).equal(hidden.any(dim=1)), "all channels alike"
    share = hidden[:, 0].float().mean(dim=(1, 2))
    assert ((share > 0.08) & (share < 0.22)).all()
    rows, columns = hidden[:, 0].any(dim=2).sum(dim=1), hidden[:, 0].any(dim=1).sum(dim=1)
    assert (rows * columns).equal(hidden[:, 0].sum(dim=(1, 2)))


def test_what_is_erased_may_be_noise(make_batch, generator):
    spec = InputSpec(images={"photo": (3, 40, 60)})
    batch = make_batch({"photo": torch.full((20, 3, 40, 60), 9.0)}, {"a": torch.ones(20)})
    found = ready(Erase(probability=1.0, fill="noise"), spec)(batch, generator).inputs["photo"]
    noise = found[found != 9.0]
    assert abs(float(noise.mean())) < 0.05
    assert float(noise.std()) == pytest.approx(1, abs=0.05)
