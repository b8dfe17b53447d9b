"""The Keras classic: two binary tasks on a shared 128-64 trunk with dropout 0.5.

    python examples/keras_classic.py

Many tutorials build this model by hand: a table, two yes/no outputs, two Dense layers with Dropout(0.5) between them.
The data are scikit-learn's breast-cancer measurements: is the tumour malignant, and is it larger than most?
"""

import pandas as pd
from sklearn.datasets import load_breast_cancer

import polytask as pt


def table() -> pd.DataFrame:
    cells = load_breast_cancer(as_frame=True).frame
    frame = cells.filter(like="mean ").drop(columns=["mean radius", "mean perimeter", "mean area"])
    return frame.assign(malignant=cells["target"] == 0, large=cells["mean area"] > cells["mean area"].quantile(0.7))


def main(folder: str = "runs/keras-classic", epochs: int = 60) -> pt.Run:
    run = pt.fit(
        table(),
        [pt.Classification("malignant"), pt.Classification("large")],
        encoder=pt.encoders.MLP.with_(widths=(128, 64), dropout=0.5),
        optimizer="adam",
        batch_size=32,
        epochs=epochs,
        folder=folder,
        quiet=True,
    )
    for task, scores in run.evaluate().items():
        print(f"{task}: AUC {scores['roc_auc']:.3f}, accuracy {scores['accuracy']:.3f}")
    return run


if __name__ == "__main__":
    main()
