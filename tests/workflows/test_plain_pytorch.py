"""One task alone under `sum` and `hard` trains exactly as plain PyTorch would, bit for bit."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import polytask as pt
from polytask.data import Preprocessor, Stream, Table, TensorTable, encode_targets
from polytask.model import seed_of
from polytask.runs import RunFolder, read_checkpoint

BCE = torch.nn.functional.binary_cross_entropy_with_logits


@pytest.fixture
def frame():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 4))
    y = x[:, 0] * 2 - x[:, 1] + generator.normal(size=300)
    return pd.DataFrame({**{f"x{k}": x[:, k] for k in range(4)}, "price": y, "sold": y > 0})


def plain_training(run, table, epochs, batch_size, names, seed=0):
    """The loop a reader would write by hand: losses, their sum, backward, step."""
    rows = run.split().rows("train")
    preprocessor = Preprocessor.load(RunFolder(run.path) / "preprocessing")
    targets = encode_targets(table, run.tasks, run.blueprint.fitted, rows)
    data = TensorTable(preprocessor.transform(table, rows), targets)
    model = run.blueprint.build().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    stream = Stream(data, batch_size, seed, "all")
    torch.manual_seed(seed_of(seed, "training"))
    for _ in range(epochs * stream.batches_per_pass):
        batch = stream.next()
        outputs = model(batch.inputs)
        losses = []
        for task in run.tasks:
            if task.kind == "regression":
                losses.append(torch.nn.functional.mse_loss(outputs[task.name], batch.targets[task.name]))
            else:
                # The mean is taken outside: inside, torch divides after the product, one rounding later.
                target = batch.targets[task.name].float()
                losses.append(BCE(outputs[task.name], target, reduction="none").mean())
        optimizer.zero_grad()
        sum(losses[1:], losses[0]).backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("names", [["price"], ["sold"], ["price", "sold"]])
def test_sum_and_hard_are_plain_pytorch(tmp_path, frame, names):
    tasks = [t for t in (pt.Regression("price"), pt.Classification("sold")) if t.name in names]
    table = Table.of(frame)
    run = pt.fit(
        table,
        tasks,
        ignore=[n for n in ("price", "sold") if n not in names],
        encoder={"mlp": {"widths": [16, 8], "dropout": 0.2}},
        epochs=3,
        batch_size=32,
        early_stopping={"patience": None, "by": "mean"},
        device="cpu",
        folder=tmp_path / "run",
        quiet=True,
    )
    model = plain_training(run, table, 3, 32, names)
    trained = read_checkpoint(run.path / "checkpoint")[0]["model"]
    for name, value in model.state_dict().items():
        assert torch.equal(trained[name], value), name
    assert set(load_file(run.path / "weights" / "mean.safetensors")) == set(model.state_dict())
