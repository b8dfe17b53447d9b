"""How many pictures a second are decoded beside training, and how much of a batch of sentences is padding?

- decoding: 500 × 375 JPEGs, resized to 224 × 224 and normalised: batches of a table whose pictures are decoded by
  worker processes (`workers`), beside a plain torch.utils.data.DataLoader over the same files and as many workers,
  which does the same by pillow; interleaved in one run, in random order, the start of the processes said apart;
- padding: the share of places that are padding in batches of 64 sentences of SNIPS, bucketed as a walk does, and
  without.

    python benchmarks/data_decoding.py [--pictures 1500] [--repeats 5] [--workers 2]
"""

import argparse
import io
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

import polytask as pt
from polytask.data import ImageSettings, Preprocessor, PreprocessSettings, Targets, TensorTable, Workers, encode_rows
from polytask.feature import mask_of
from record import RESULTS, target, write

BATCH = 64
SIDE = 224
ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("POLYTASK_DATA", ROOT.parent / "shared" / "data"))


def jpegs(count: int) -> list[bytes]:
    """Smooth noise with some detail: files of about the size that photographs have."""
    generator = np.random.default_rng(0)
    made = []
    for _ in range(min(count, 200)):
        coarse = generator.integers(0, 256, (12, 16, 3)).astype(np.uint8)
        picture = np.asarray(Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)).astype(np.int16)
        picture = np.clip(picture + generator.integers(-12, 13, picture.shape), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=85)
        made.append(file.getvalue())
    return [made[k % len(made)] for k in range(count)]


class Pictures(Dataset):
    """What a DataLoader is usually given: one file, one tensor."""

    def __init__(self, files: list[bytes], mean: torch.Tensor, deviation: torch.Tensor) -> None:
        self.files, self.mean, self.deviation = files, mean, deviation

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int):
        with Image.open(io.BytesIO(self.files[row])) as image:
            pixels = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        values = torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float().div_(255)
        return (values - self.mean) / self.deviation, float(row)


def steady_rate(batches: Any, skipped: int, rows: int) -> tuple[float, float]:
    """Rows a second behind the first batches, and seconds until the first."""
    began = time.perf_counter()
    seen, since, first = 0, began, 0.0
    for number, size in enumerate(batches):
        if number == 0:
            first = time.perf_counter() - began
        if number < skipped:
            since = time.perf_counter()
            continue
        seen += size
        if seen >= rows:
            break
    return seen / (time.perf_counter() - since), first


def decoding_rows(pictures: int, repeats: int, num_workers: int) -> list[dict[str, Any]]:
    """Rows a second of both, for every repeat."""
    files = jpegs(pictures)
    table = pt.Table(pd.DataFrame({"photo": pd.Series(files, dtype=object), "y": np.arange(float(pictures))}))
    settings = PreprocessSettings(images=ImageSettings(size=(SIDE, SIDE)))
    fitted = Preprocessor.fit(table, ["photo"], np.arange(50), settings)
    column = fitted.prepared[0]
    mean, deviation = (torch.tensor(v, dtype=torch.float32).reshape(3, 1, 1) for v in (column.mean, column.deviation))
    values = torch.arange(float(pictures))
    targets = Targets({"y": values}, {"y": values >= 0}, {"y": torch.ones(pictures)})
    dataset, skipped = Pictures(files, mean, deviation), 3 * num_workers
    measured = pictures - (skipped + 1) * BATCH
    found = []
    for repeat in range(repeats):
        with Workers(num_workers) as workers:
            examples = encode_rows(fitted, table, np.arange(pictures), targets, workers=workers)
            walk = examples.walk(BATCH, repeat)
            ours, our_start = steady_rate((walk.next().num_rows for _ in iter(int, 1)), skipped, measured)
        loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=num_workers)
        theirs, their_start = steady_rate((len(rows) for rows, _ in loader), skipped, measured)
        found.append(
            {
                "measure": "decoding",
                "polytask_rows_per_second": round(ours, 1),
                "dataloader_rows_per_second": round(theirs, 1),
                "polytask_first_batch_seconds": round(our_start, 2),
                "dataloader_first_batch_seconds": round(their_start, 2),
            }
        )
    return found


def padding_share(table: TensorTable, column: str, *, is_bucketed: bool = True) -> float:
    """Padding among all places of a pass of batches."""
    if not is_bucketed:
        table.lengths = None
    walk = table.walk(BATCH, 0)
    masks = [walk.next().inputs[mask_of(column)] for _ in range(walk.batches_per_pass)]
    return 1 - sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)


def padding_rows() -> list[dict[str, Any]]:
    """On SNIPS; none where it is not at hand."""
    path = DATA / "snips" / "snips.parquet"
    if not path.exists():
        return []
    table = pt.read(path)
    rows = np.flatnonzero(table.values("split") == "train")
    inputs = Preprocessor.fit(table, ["tokens"], rows).transform(table, rows)
    zeros = torch.zeros(len(rows))
    targets = Targets({"y": zeros}, {"y": zeros == 0}, {"y": zeros + 1})
    shares = {
        name: round(padding_share(TensorTable(inputs, targets), "tokens", is_bucketed=name == "bucketed"), 4)
        for name in ("bucketed", "shuffled")
    }
    return [{"measure": "padding", "batch": BATCH, **shares}]


def targets_of(decoding: list[dict[str, Any]], padding: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ratios = [row["polytask_rows_per_second"] / row["dataloader_rows_per_second"] for row in decoding]
    found = [target("rows/s with decoding, polytask / DataLoader", round(statistics.median(ratios), 3), 0.8, "higher")]
    found += [target("padding share on SNIPS, batch 64", row["bucketed"], 0.2) for row in padding]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.time()
    decoding = decoding_rows(options.pictures, options.repeats, options.workers)
    padding = padding_rows()
    found = targets_of(decoding, padding)
    write(
        RESULTS / "data_decoding.json",
        question=__doc__,
        command=f"python benchmarks/data_decoding.py --pictures {options.pictures} --repeats {options.repeats} "
        f"--workers {options.workers}",
        seconds=time.time() - began,
        rows=decoding + padding,
        targets=found,
    )
    for each in found:
        print(f"{each['name']}: {each['value']} (target {each['target']}, {'met' if each['met'] else 'missed'})")


if __name__ == "__main__":
    main()
