"""Each task with a table of its own, of different sizes: alternating steps on one shared trunk.

    python examples/tables_of_their_own.py

The wine measurements of scikit-learn are cut into two surveys that never saw the same bottle: one knows the cultivar,
a smaller one the alcohol. A step trains one task; the other task's head keeps its value and its optimiser state.
"""

import numpy as np
from sklearn.datasets import load_wine

import polytask as pt


def main(folder: str = "runs/tables-of-their-own", epochs: int = 60) -> pt.Run:
    wines = load_wine(as_frame=True).frame.rename(columns={"target": "cultivar"})
    order = np.random.default_rng(0).permutation(len(wines))
    cultivars = wines.iloc[order[:110]].drop(columns="alcohol")
    strengths = wines.iloc[order[110:]].drop(columns="cultivar")
    run = pt.fit(
        {"cultivar": cultivars, "alcohol": strengths},
        [pt.Classification("cultivar"), pt.Regression("alcohol")],
        agenda={"alternating": {"order": "proportional"}},
        encoder={"mlp": {"widths": [32, 16]}},
        epochs=epochs,
        batch_size=16,
        folder=folder,
        quiet=True,
    )
    for task, scores in run.evaluate().items():
        print(f"{task}: skill {scores['skill']:.3f} on {scores['rows']:.0f} test rows")
    return run


if __name__ == "__main__":
    main()
