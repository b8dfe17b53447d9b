"""Makes tables of those real sets that come in several files or are split in a way of their own.

The other examples in YAML read their sets as they are.

    python examples/prepare.py          # reads examples/data/<set>, writes examples/prepared/<set>.parquet
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd


def tox21(data: Path) -> pd.DataFrame:
    """Twelve assays of 8,014 molecules beside their fingerprints; the scaffolds are for the split."""
    table = pd.read_parquet(data / "tox21" / "tox21.parquet")
    arrays = np.load(data / "tox21" / "ecfp4_1024.npz")
    bits = np.unpackbits(arrays["fp_packed"], axis=1)
    return table.assign(fingerprint=list(bits), scaffold=arrays["scaffold_id"])


def fsdd(data: Path) -> pd.DataFrame:
    """3,000 spoken digits: one recording a row."""
    arrays = np.load(data / "fsdd" / "fsdd.npz")
    clips = np.split(arrays["audio"], arrays["offsets"][1:-1])
    index = arrays["index"]
    part = np.where(index < 5, "test", np.where(index < 10, "valid", "train"))
    columns = {name: arrays[name] for name in ("digit", "speaker", "accent")}
    return pd.DataFrame({"audio": clips, **columns, "split": part})


def school(data: Path) -> pd.DataFrame:
    """139 schools' exams with ten ways to split each school's pupils, 75 % for training."""
    table = pd.read_parquet(data / "school" / "school.parquet")
    for repeat in range(10):
        generator = np.random.default_rng(repeat)
        part = np.full(len(table), "test", dtype=object)
        for _, rows in table.groupby("school", sort=True):
            chosen = generator.permutation(len(rows))[: round(0.75 * len(rows))]
            part[rows.index[chosen]] = "train"
        table[f"repeat_{repeat}"] = part
    return table


def parkinsons(data: Path) -> pd.DataFrame:
    """5,875 recordings of 42 people, of whom three fifths train, a fifth chooses and a fifth judges."""
    table = pd.read_parquet(data / "parkinsons" / "parkinsons_updrs.parquet")
    people = np.unique(table["subject#"])
    order = np.random.default_rng(0).permutation(len(people))
    names = np.repeat(
        ["train", "valid", "test"], np.diff([0, int(0.6 * len(people)), int(0.8 * len(people)), len(people)])
    )
    part = dict(zip(people[order].tolist(), names.tolist(), strict=True))
    return table.assign(split=table["subject#"].map(part))


def main(folder: Path) -> None:
    """Writes every table whose files are there.

    Args:
        folder: with the sets in `data`; the tables go to `prepared`.
    """
    (folder / "prepared").mkdir(parents=True, exist_ok=True)
    for make in (tox21, fsdd, school, parkinsons):
        if (folder / "data" / make.__name__).is_dir():
            target = folder / "prepared" / f"{make.__name__}.parquet"
            make(folder / "data").to_parquet(target)
            print(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
