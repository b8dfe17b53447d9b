"""Augmentation: changed training rows whose labels, of all tasks at once, stay right."""

from polytask.data.augment.augmented import AugmentedExamples, AugmentedWalk
from polytask.data.augment.base import Augmentation, BatchAugmentation, Scales
from polytask.data.augment.blur import Blur
from polytask.data.augment.chosen import batch_augmentations, read_augmentations, row_augmentations
from polytask.data.augment.color_jitter import ColorJitter
from polytask.data.augment.crop import Crop
from polytask.data.augment.cutmix import CutMix
from polytask.data.augment.erase import Erase
from polytask.data.augment.flip import Flip
from polytask.data.augment.geometric import Geometric, Moved
from polytask.data.augment.match import matching, with_more_rows
from polytask.data.augment.mixup import Mixup
from polytask.data.augment.noise import Noise
from polytask.data.augment.number_noise import NumberNoise
from polytask.data.augment.padded_crop import PaddedCrop
from polytask.data.augment.rotate import Rotate
from polytask.data.augment.rows import Along, RowAugmentation, augment_rows, with_rows
from polytask.data.augment.shift import Shift
from polytask.data.augment.spec_augment import SpecAugment
from polytask.data.augment.synonyms import Synonyms
from polytask.data.augment.text_dropout import TextDropout
from polytask.data.augment.text_swap import TextSwap
from polytask.data.augment.warp import Warp
from polytask.data.augment.wave_change import WaveChange
from polytask.data.augment.word_dropout import WordDropout
from polytask.data.augment.word_swap import WordSwap

#: Every augmentation by its catalogue name.
AUGMENTATIONS: dict[str, type[Augmentation]] = {
    cls.name: cls
    for cls in (
        Flip,
        Rotate,
        Crop,
        PaddedCrop,
        Blur,
        ColorJitter,
        Erase,
        Mixup,
        CutMix,
        Noise,
        WordDropout,
        WordSwap,
        SpecAugment,
        Shift,
        TextDropout,
        TextSwap,
        Synonyms,
        WaveChange,
        NumberNoise,
    )
}

__all__ = [
    "AUGMENTATIONS",
    "Along",
    "Augmentation",
    "AugmentedExamples",
    "AugmentedWalk",
    "BatchAugmentation",
    "Blur",
    "ColorJitter",
    "Crop",
    "CutMix",
    "Erase",
    "Flip",
    "Geometric",
    "Mixup",
    "Moved",
    "Noise",
    "NumberNoise",
    "PaddedCrop",
    "Rotate",
    "RowAugmentation",
    "Scales",
    "Shift",
    "SpecAugment",
    "Synonyms",
    "TextDropout",
    "TextSwap",
    "Warp",
    "WaveChange",
    "WordDropout",
    "WordSwap",
    "augment_rows",
    "batch_augmentations",
    "matching",
    "read_augmentations",
    "row_augmentations",
    "with_more_rows",
    "with_rows",
]
