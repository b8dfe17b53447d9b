"""Where examples come from: Tables, their splits, preprocessing, targets, batches, and a lint."""

from polytask.data.augment import (
    AUGMENTATIONS,
    Along,
    Augmentation,
    AugmentedExamples,
    BatchAugmentation,
    RowAugmentation,
    augment_rows,
    batch_augmentations,
    matching,
    read_augmentations,
    row_augmentations,
    with_more_rows,
    with_rows,
)
from polytask.data.batch import WHOLE, Batch, Examples, JudgedExamples, Part, Walk
from polytask.data.folds import make_folds
from polytask.data.images import ImageColumn, located
from polytask.data.lint import Finding, lint, lint_across
from polytask.data.parts import DROPPED, Split
from polytask.data.prepared import PreprocessSettings
from polytask.data.preprocess import Preprocessor, default_inputs
from polytask.data.read import read
from polytask.data.schema import KINDS, Column, Schema
from polytask.data.split import SplitSettings, group_keys, make_split, make_splits
from polytask.data.table import Table
from polytask.data.targets import Targets, encode_targets, fit_task, infer_kind_of_task, target_cells
from polytask.data.tensor_table import Stream, TensorTable

__all__ = [
    "AUGMENTATIONS",
    "DROPPED",
    "KINDS",
    "WHOLE",
    "Along",
    "Augmentation",
    "AugmentedExamples",
    "Batch",
    "BatchAugmentation",
    "Column",
    "Examples",
    "Finding",
    "ImageColumn",
    "JudgedExamples",
    "Part",
    "PreprocessSettings",
    "Preprocessor",
    "RowAugmentation",
    "Schema",
    "Split",
    "SplitSettings",
    "Stream",
    "Table",
    "Targets",
    "TensorTable",
    "Walk",
    "augment_rows",
    "batch_augmentations",
    "default_inputs",
    "encode_targets",
    "fit_task",
    "group_keys",
    "infer_kind_of_task",
    "lint",
    "lint_across",
    "located",
    "make_folds",
    "make_split",
    "make_splits",
    "matching",
    "read",
    "read_augmentations",
    "row_augmentations",
    "target_cells",
    "with_more_rows",
    "with_rows",
]
