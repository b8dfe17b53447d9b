"""Every sharing scheme in training: under the gradient engine, and from the doors that a user opens."""

import numpy as np
import pandas as pd
import pytest
import torch
from every_sharing import CASES, NARROW, build, inputs_for, takes_together

import polytask as pt
from polytask.sharing import SHARINGS


@pytest.mark.parametrize("case", [case for case in CASES if "mlp" not in case.refuses], ids=str)
def test_every_way_of_differentiating_gives_the_same_gradients(case, assert_paths_agree):
    sharing, spec = build(case, "mlp")
    sharing = sharing.double()
    if not takes_together(sharing):
        sharing.eval()
    shared = [p for p in sharing.shared_parameters() if p.requires_grad]
    if not shared:
        pytest.skip("nothing is shared")
    inputs = {k: v.double() if v.is_floating_point() else v for k, v in inputs_for(spec, rows=9).items()}

    kept = [buffer.clone() for buffer in sharing.buffers()]

    def losses():
        torch.manual_seed(3)  # the same dropout masks, and the same draws of the scheme's own
        for buffer, value in zip(sharing.buffers(), kept, strict=True):
            buffer.copy_(value)
        features = sharing(inputs, list(case.tasks))
        found = {}
        for task in case.tasks:
            read = [features[task][stage].pooled() for stage in sharing.reads(task)]
            found[task] = sum((values.sin() - 1).square().mean() for values in read)
        return found

    for by_products in (None, True, False):
        assert_paths_agree(losses, shared, by_products=by_products)


def table(rows=60):
    draws = np.random.default_rng(0)
    frame = pd.DataFrame(draws.normal(size=(rows, 3)), columns=["a", "b", "c"])
    frame["d"] = draws.choice(["north", "south"], rows)
    frame["price"] = frame["a"] - frame["b"] + 0.1 * draws.normal(size=rows)
    for name, column in (("sold", "b"), ("grade", "c")):
        frame[name] = np.where(frame[column] > 0, "yes", "no")
    frame.loc[::7, "price"] = np.nan
    frame.loc[3::5, "sold"] = None
    return frame


def tasks_of(case):
    reads = {name: stages[0] if len(stages) == 1 else list(stages) for name, stages in case.tasks.items()}
    kinds = {"price": pt.Regression, "sold": pt.Classification, "grade": pt.Classification}
    return [kinds[name](name, reads=stages) for name, stages in reads.items()]


@pytest.mark.parametrize(
    "case", [c for c in CASES if "mlp" not in c.refuses and set(c.tasks) <= {"price", "sold", "grade"}], ids=str
)
def test_it_trains_and_predicts_and_its_run_is_read_again(case, tmp_path):
    agenda = "joint" if takes_together(build(case, "mlp")[0]) else "alternating"
    run = pt.fit(
        table(),
        tasks_of(case),
        sharing={case.name: case.settings},
        encoder={"mlp": case.encoders.get("mlp", NARROW["mlp"])},
        balancer="cosmos" if SHARINGS[case.name].draws_preference else "sum",
        agenda=agenda,
        epochs=2,
        batch_size=16,
        folder=tmp_path / "run",
        quiet=True,
    )
    predicted = run.predict(table(rows=5))
    again = pt.load(tmp_path / "run").predict(table(rows=5))
    pd.testing.assert_frame_equal(predicted, again)
    assert np.isfinite(predicted["price"]).all()
