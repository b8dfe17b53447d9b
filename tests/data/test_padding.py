"""Rows of different lengths in batches: little padding, and none of it reaches a row's feature."""

import numpy as np
import pandas as pd
import torch

from polytask.data import Preprocessor, Table, Targets, TensorTable
from polytask.encoders import ENCODERS
from polytask.feature import mask_of

LENGTHS = np.random.default_rng(0).integers(0, 12, 60)


def tokens():
    draw = np.random.default_rng(1)
    cells = [[f"w{k}" for k in draw.integers(0, 9, length)] for length in LENGTHS]
    return Table(pd.DataFrame({"x": pd.Series(cells, dtype=object)}), kinds={"x": "tokens"})


def encoded(table, rows):
    preprocessor = Preprocessor.fit(table, ["x"], rows)
    values = torch.from_numpy(rows.astype(np.float32))
    targets = Targets({"row": values}, {"row": values >= 0}, {"row": torch.ones(len(rows))})
    return preprocessor, TensorTable(preprocessor.transform(table, rows), targets)


def test_masks_hold_from_the_batch_to_the_pooled_feature():
    rows = np.arange(60)
    preprocessor, table = encoded(tokens(), rows)
    encoder = ENCODERS["conv1d"](preprocessor.spec).eval()
    walk = table.walk(16, 0)
    seen = []
    for _ in range(walk.batches_per_pass):
        batch = walk.next()
        order = batch.targets["row"].long()
        mask = batch.inputs[mask_of("x")]
        assert mask.sum(dim=1).tolist() == LENGTHS[order].tolist()
        assert (batch.inputs["x"][~mask] == 0).all()
        with torch.inference_mode():
            pooled = run(encoder, batch.inputs)
            for place, row in enumerate(order.tolist()):
                alone = run(encoder, table.batch(torch.tensor([row])).inputs)
                torch.testing.assert_close(pooled[place], alone[0])
        seen += order.tolist()
    assert sorted(seen) == rows.tolist()


def run(encoder, inputs):
    feature = inputs
    for stage in encoder.stages:
        feature = stage(feature)
    return feature.pooled()


def test_padding_is_little_on_real_sentences(shared_data):
    frame = pd.read_parquet(shared_data / "snips" / "snips.parquet")
    frame = frame[frame["split"] == "train"].reset_index(drop=True)
    _, table = encoded(Table(frame[["tokens"]].rename(columns={"tokens": "x"})), np.arange(len(frame)))
    walk = table.walk(64, 0)
    masks = [walk.next().inputs[mask_of("x")] for _ in range(walk.batches_per_pass)]
    assert 1 - sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks) <= 0.2
