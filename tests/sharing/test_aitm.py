import math

import pytest
import torch

from polytask.encoders import MLP
from polytask.feature import NUMBERS, InputSpec, OutputSpec
from polytask.model import Blueprint
from polytask.sharing import AITM, Hard
from polytask.sharing.aitm import Transfer
from polytask.sharing.calibrator import excess
from polytask.tasks import Classification, Regression

SPEC = InputSpec(numbers=("a", "b"))
INPUTS = {NUMBERS: torch.randn(5, 2, generator=torch.Generator().manual_seed(0))}
TASKS = {"x": (-1,), "y": (0, -1), "z": (0,)}
ORDER = ["z", "x", "y"]


def make_encoder(copy):
    torch.manual_seed(copy)
    return MLP(SPEC, widths=(8, 4), dropout=0.0)


def aitm(**settings):
    return AITM(make_encoder, TASKS, torch.Generator().manual_seed(1), **{"order": ORDER, **settings}).eval()


def set_to(layer, value, bias=None):
    with torch.no_grad():
        layer.weight.fill_(value)
        if bias is not None:
            layer.bias.fill_(bias)


def test_a_transfer_worked_by_hand():
    """q = 4, z of the task before = 4: info relu(0.5 · 4) = 2; scores 4 · 2 = 8 and 2 · 1 = 2; z = 3 (4 p + 2 (1 − p))."""
    transfer = Transfer(1, 1, torch.Generator())
    set_to(transfer.info, 0.5, 0.0)
    set_to(transfer.key, 1.0)
    set_to(transfer.query, 0.5)
    set_to(transfer.value, 3.0)
    four = torch.tensor([[4.0]])
    p = math.exp(8) / (math.exp(8) + math.exp(2))
    assert transfer(four, four).item() == pytest.approx(3 * (4 * p + 2 * (1 - p)))
    set_to(transfer.key, 0.0)  # nothing to choose by: the mean of both
    assert transfer(four, four).item() == pytest.approx(9.0)
    set_to(transfer.info, -1.0, 0.0)  # relu
    assert transfer(four, four).item() == pytest.approx(6.0)


def test_the_transfer_divides_by_the_root_of_the_width():
    transfer = Transfer(3, 4, torch.Generator().manual_seed(0)).double()
    own, previous = torch.randn(1, 4, dtype=torch.float64), torch.randn(1, 3, dtype=torch.float64)
    rows = [own[0], transfer.info(previous)[0].relu()]
    scores = [float((transfer.key(u) @ transfer.query(u)).detach()) / 2 for u in rows]
    shares = [math.exp(s) / sum(map(math.exp, scores)) for s in scores]
    expected = sum(share * transfer.value(u) for share, u in zip(shares, rows, strict=True))
    torch.testing.assert_close(transfer(own, previous)[0], expected)


def test_the_first_task_is_hard_sharing():
    first = aitm()(INPUTS, ["z"])["z"]
    hard = Hard(make_encoder, TASKS, torch.Generator()).eval()(INPUTS, ["z"])["z"]
    assert torch.equal(first[-1].values, hard[-1].values)


def test_a_later_task_reads_its_earlier_stages_as_they_are():
    found = aitm()(INPUTS, ["y"])["y"]
    assert torch.equal(found[0].values, make_encoder(0).eval()(INPUTS)[0].values)
    assert not torch.equal(found[-1].values, make_encoder(0).eval()(INPUTS)[-1].values)


def test_the_last_tasks_loss_reaches_all_and_the_first_only_its_own_part():
    sharing = aitm(split=0, order=["x", "z", "y"])
    for task, is_all in (("y", True), ("x", False)):
        loss = sharing(INPUTS, [task])[task][-1].values.sum()
        found = torch.autograd.grad(loss, list(sharing.parameters()), allow_unused=True)
        reached = {n for (n, _), g in zip(sharing.named_parameters(), found, strict=True) if g is not None}
        expected = {n for n, _ in sharing.named_parameters() if is_all or n.startswith("tails.task_x.")}
        assert reached == expected


def test_without_an_order_it_is_the_one_they_are_listed_in():
    assert aitm(order=None).order == tuple(TASKS)


def logit(p):
    return torch.tensor(p, dtype=torch.float64).logit()


def test_the_calibrator_is_a_mean_over_rows_and_a_sum_over_neighbours():
    click, buy, back = logit([0.9, 0.2]), logit([0.3, 0.5]), logit([0.4, 0.1])
    order = ["click", "buy", "back"]
    found = excess({"back": back, "click": click, "buy": buy}, order)
    assert found.item() == pytest.approx((0 + 0.3) / 2 + (0.1 + 0) / 2)
    assert excess({"click": click, "back": back}, order) == 0  # neighbours among those that are present
    assert excess({"buy": buy, "back": back}, order).item() == pytest.approx(0.05)
    assert excess({"buy": buy}, order) is None


def test_the_calibrator_takes_tasks_of_two_classes_only():
    sharing = aitm(calibrator=0.5)
    sharing.expect_outputs({"x": OutputSpec((), "softmax"), "y": OutputSpec(), "z": OutputSpec((), "softmax")})
    outputs = {"x": logit([0.8]), "y": torch.tensor([9.0]), "z": logit([0.6])}
    assert sharing.output_penalties(outputs)["calibrator"].item() == pytest.approx(0.5 * 0.2)
    assert sharing.output_penalties({"x": outputs["x"], "y": outputs["y"]}) == {}


@pytest.mark.parametrize("calibrator", [0.6, 0.0])
def test_a_model_adds_it_in_training_alone(calibrator):
    tasks = (Classification("click"), Regression("price"), Classification("buy"))
    fitted = {"price": {"mean": 0.0, "std": 1.0}}
    fitted |= {name: {"classes": ["no", "yes"], "counts": [1, 1]} for name in ("click", "buy")}
    chosen = AITM.with_(order=["click", "price", "buy"], calibrator=calibrator)
    model = Blueprint(tasks, fitted, MLP.with_(widths=(4,)), chosen, SPEC, 0).build()
    outputs = model(INPUTS)
    p, q = outputs["click"].sigmoid(), outputs["buy"].sigmoid()
    expected = {"calibrator": 0.6 * (q - p).clamp_min(0).mean()} if calibrator else {}
    torch.testing.assert_close(model.penalties(), expected)
    model(INPUTS, ["click"])
    assert model.penalties() == {}
    model(INPUTS)
    model.eval()(INPUTS)
    assert model.penalties() == {}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"order": ["x", "y", "zz"]}, "aitm: order names 'zz', which is no task"),
        ({"order": ["x", "y"]}, "aitm: order=.* names every task once"),
        ({"order": ["x", "y", "x", "z"]}, "aitm: order=.* names every task once"),
        ({"split": 4}, "aitm: split=4, but the encoder has 3 stages: 0 to 3"),
        ({"calibrator": -0.1}, "aitm: calibrator=-0.1, a number from 0"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        aitm(**settings)
