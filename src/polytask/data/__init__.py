"""Where examples come from: Tables, their splits, preprocessing, targets, batches, and a lint."""

from polytask.data.association import correlation, cramers_v
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
from polytask.data.by_value import clean, tables_by_value
from polytask.data.cache import Cache
from polytask.data.cells import keys_of
from polytask.data.decode import DecodedExamples, encode_new_rows, encode_rows
from polytask.data.entities import check_key, group_keys
from polytask.data.features import DEFAULT_FEATURES, FEATURES, Featurizer
from polytask.data.finding import Finding
from polytask.data.folds import make_folds
from polytask.data.held_out import held_out_parts
from polytask.data.images import ImageColumn, located
from polytask.data.lint import is_few_labels, lint
from polytask.data.lint_across import lint_across
from polytask.data.merge import merge
from polytask.data.parts import DROPPED, TRAIN, Split
from polytask.data.pictures import ImageSettings
from polytask.data.prepared import PreprocessSettings
from polytask.data.preprocess import Preprocessor, default_inputs
from polytask.data.read import read
from polytask.data.readers import check_masks, read_mask
from polytask.data.resample import RESAMPLERS, Resampler, make_resampler, renamed, resample, restricted
from polytask.data.schema import KINDS, Column, Schema
from polytask.data.select import SELECTABLE, Selected, choose_features, score_features, select_features
from polytask.data.select_settings import Select
from polytask.data.split import make_split, make_splits, settings_by_table
from polytask.data.split_file import read_splits, split_bytes
from polytask.data.split_settings import SplitSettings
from polytask.data.steps import Steps, made_again
from polytask.data.stream import (
    FittingRows,
    PieceEncoder,
    StreamedExamples,
    StreamedTable,
    StreamSettings,
    draw_fitting_rows,
    encode_streamed,
    encoded_parts,
    is_url,
    open_rows,
    rows_in_buffer,
    split_stream,
    together_by,
)
from polytask.data.table import Table
from polytask.data.target_cells import label_columns, row_has_label, rows_where, target_cells
from polytask.data.targets import Targets, encode_targets, fit_task, infer_kind_of_task, label_weights
from polytask.data.tensor_table import Stream, TensorTable
from polytask.data.time_windows import SPLIT, WindowSettings, windows
from polytask.data.unreadable import Unreadable, skip_unreadable
from polytask.data.workers import Workers

__all__ = [
    "AUGMENTATIONS",
    "DEFAULT_FEATURES",
    "DROPPED",
    "FEATURES",
    "KINDS",
    "RESAMPLERS",
    "SELECTABLE",
    "SPLIT",
    "TRAIN",
    "WHOLE",
    "Along",
    "Augmentation",
    "AugmentedExamples",
    "Batch",
    "BatchAugmentation",
    "Cache",
    "Column",
    "DecodedExamples",
    "Examples",
    "Featurizer",
    "Finding",
    "FittingRows",
    "ImageColumn",
    "ImageSettings",
    "JudgedExamples",
    "Part",
    "PieceEncoder",
    "PreprocessSettings",
    "Preprocessor",
    "Resampler",
    "RowAugmentation",
    "Schema",
    "Select",
    "Selected",
    "Split",
    "SplitSettings",
    "Steps",
    "Stream",
    "StreamSettings",
    "StreamedExamples",
    "StreamedTable",
    "Table",
    "Targets",
    "TensorTable",
    "Unreadable",
    "Walk",
    "WindowSettings",
    "Workers",
    "augment_rows",
    "batch_augmentations",
    "check_key",
    "check_masks",
    "choose_features",
    "clean",
    "correlation",
    "cramers_v",
    "default_inputs",
    "draw_fitting_rows",
    "encode_new_rows",
    "encode_rows",
    "encode_streamed",
    "encode_targets",
    "encoded_parts",
    "fit_task",
    "group_keys",
    "held_out_parts",
    "infer_kind_of_task",
    "is_few_labels",
    "is_url",
    "keys_of",
    "label_columns",
    "label_weights",
    "lint",
    "lint_across",
    "located",
    "made_again",
    "make_folds",
    "make_resampler",
    "make_split",
    "make_splits",
    "matching",
    "merge",
    "open_rows",
    "read",
    "read_augmentations",
    "read_mask",
    "read_splits",
    "renamed",
    "resample",
    "restricted",
    "row_augmentations",
    "row_has_label",
    "rows_in_buffer",
    "rows_where",
    "score_features",
    "select_features",
    "settings_by_table",
    "skip_unreadable",
    "split_bytes",
    "split_stream",
    "tables_by_value",
    "target_cells",
    "together_by",
    "windows",
    "with_more_rows",
    "with_rows",
]
