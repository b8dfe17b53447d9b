"""Readers of the forms that data sets of pictures, sentences and arrays come in."""

from polytask.data.readers.coco import frame_of_coco, is_coco
from polytask.data.readers.conll import frame_of_conll
from polytask.data.readers.hugging_face import frame_of_dataset, is_dataset
from polytask.data.readers.image_folder import read_image_folder
from polytask.data.readers.masks import check_masks, has_masks, read_mask, read_masks
from polytask.data.readers.npz import read_npz
from polytask.data.readers.pictures import is_picture, made_split
from polytask.data.readers.voc import is_voc, read_voc

__all__ = [
    "check_masks",
    "frame_of_coco",
    "frame_of_conll",
    "frame_of_dataset",
    "has_masks",
    "is_coco",
    "is_dataset",
    "is_picture",
    "is_voc",
    "made_split",
    "read_image_folder",
    "read_mask",
    "read_masks",
    "read_npz",
    "read_voc",
]
