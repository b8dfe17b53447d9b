"""Settings of data that need all rows at once, which rows that are streamed never are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polytask.experiment.choices import DataSettings

#: Setting -> why streamed rows cannot have it, and what would work.
_REFUSED = {
    "merge": "merging tables by a key takes all rows at once; merge them once and write the result as one Parquet file",
    "windows": "windows are cut from whole series; cut them once (pt.windows) and write the result as a Parquet file",
    "by": "a table for each value of a column takes all rows at once; write a Parquet file for each value and give "
    "them by task",
    "match": "rows are added to tables in memory; give the smaller tables more weight by agenda: alternating, or leave "
    "match out",
    "resample": "resampling counts, copies and leaves out training rows in memory; weigh rare classes instead: "
    "class_weight: balanced, or criterion: focal, of the task",
    "workers": "streamed pictures and recordings are decoded a buffer at a time, by a thread beside training; leave "
    "workers out",
    "cache": "what streamed rows hold is decoded in every pass, and no cache could hold it all; leave cache out",
    "pseudo_labels": "labels are borrowed for rows in memory; borrow them once (pt.pseudo_label) and write the result "
    "as a Parquet file",
    "columns": "they are of conll and npz files, and only Parquet files are streamed",
}


def check_streamable(settings: DataSettings) -> None:
    """Refuses what cannot be done to rows that are streamed.

    Raises:
        ValueError: names the setting, says why, and what would work.
    """
    for name, why in _REFUSED.items():
        value = getattr(settings, name)
        if value is not None and value not in (False, 0, ()):
            raise ValueError(f"{name} and stream exclude each other: {why}, or train without stream")
    if settings.format not in (None, "parquet"):
        raise ValueError(
            f"format={settings.format!r} and stream exclude each other: only Parquet files are streamed; convert it "
            "once, as pt.read(path, format=…).frame.to_parquet(…), or train without stream"
        )
    if settings.unreadable == "skip":
        raise ValueError(
            "unreadable: skip and stream exclude each other: all cells would be read before training; make those that "
            "cannot be read missing in the file, or train without stream"
        )
    for choice in settings.augment:
        if choice.constructor.level == "rows":
            raise ValueError(
                f"augment: {choice.constructor.name} and stream exclude each other: it adds changed copies of rows in "
                "memory; choose one that changes batches (polytask list augmentations), write the copies into the "
                "file, or train without stream"
            )
