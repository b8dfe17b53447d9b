"""Pictures beside numbers, pairs within a batch, and a head that reads an early stage.

    python examples/pictures_and_pairs.py

scikit-learn's handwritten digits: which digit is it; do two pictures show the same digit (an embedding learnt from all
pairs of a batch); and how much ink is there, which needs no deep features, so its head reads the first stage.
"""

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

import polytask as pt


def table(rows: int = 900) -> pd.DataFrame:
    digits = load_digits()
    pictures = [np.kron(picture, np.ones((2, 2))).astype(np.float32) for picture in digits.images[:rows]]
    return pd.DataFrame(
        {
            "picture": pd.Series(pictures, dtype=object),
            "width": (digits.images[:rows].max(axis=1) > 8).sum(axis=1),
            "digit": digits.target[:rows],
            "ink": digits.images[:rows].sum(axis=(1, 2)),
        }
    )


def main(folder: str = "runs/pictures-and-pairs", epochs: int = 15) -> pt.Run:
    run = pt.fit(
        table(),
        [
            pt.Classification("digit"),
            pt.Similarity("same_digit", column="digit", dim=16),
            pt.Regression("ink", reads=0),
        ],
        encoder=pt.encoders.Fusion.with_(table="mlp", images="lenet"),
        epochs=epochs,
        batch_size=64,
        folder=folder,
        quiet=True,
    )
    for task, scores in run.evaluate().items():
        print(f"{task}: skill {scores['skill']:.3f}")
    return run


if __name__ == "__main__":
    main()
