"""The definition of a step, held against plain autograd."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from polytask.tasks import Regression, Similarity, Task
from polytask.train import gradient_cosines, task_losses, training_step


def losses_of(session, step):
    return task_losses(session.model, step, session.data.tasks, session.autocast)[0]


def step_with(session, losses, **more):
    return training_step(
        losses,
        session.shared,
        session.balancer,
        session.optimizer,
        epoch=0,
        scores={},
        **{"clip": session.clip(), **more},
    )


@pytest.fixture
def half_labelled(training):
    """`price` is missing in the first 32 rows of 64."""
    frame = training.houses()
    frame.loc[:31, "price"] = np.nan
    return {"all": (frame, training.tasks)}


def test_a_loss_is_the_mean_over_labelled_cells(training, half_labelled):
    session = training.session(half_labelled)
    table = session.data.training["all"]
    batch = table.batch(torch.arange(16, 48))
    losses = losses_of(session, [(("price", "sold"), batch)])
    output = session.model(batch.inputs)["price"]
    expected = (output[16:] - batch.targets["price"][16:]).square().mean()
    torch.testing.assert_close(losses["price"], expected)


def test_a_task_without_a_label_in_the_batch_is_left_out(training, half_labelled):
    session = training.session(half_labelled, balancer="pcgrad")
    batch = session.data.training["all"].batch(torch.arange(16))
    heads = {name: list(session.model.heads[f"task_{name}"].parameters()) for name in ("price", "sold")}
    before = [p.detach().clone() for p in heads["price"]]
    losses = losses_of(session, [(("price", "sold"), batch)])
    assert set(losses) == {"sold"}
    assert set(step_with(session, losses)) == {"sold"}
    assert all(p.grad is None for p in heads["price"])
    assert all(torch.equal(p, b) for p, b in zip(heads["price"], before, strict=True))
    assert all(p.grad is not None for p in heads["sold"])


def test_only_what_the_tasks_need_is_run(training):
    session = training.session(sharing="independent")
    ran = []
    for name, module in session.model.heads.items():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    ((_, batch),) = next(session.agenda.steps(0))
    losses_of(session, [(("sold",), batch)])
    losses_of(session, [((), batch)])
    assert ran == ["task_sold"]


def test_the_step_is_that_of_the_summed_loss(training):
    session, plain = (training.session(optimizer={"sgd": {"momentum": 0.9}}) for _ in range(2))
    step = next(session.agenda.steps(0))
    for _ in range(2):
        step_with(session, losses_of(session, step))
        plain.optimizer.zero_grad()
        sum(losses_of(plain, step).values()).backward()
        plain.optimizer.step()
    for one, other in zip(session.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_penalties_are_added_unbalanced(training, monkeypatch):
    frozen = {"optimizer": "sgd", "learning_rate": 1e-30}
    session, plain = (training.session(balancer="cagrad", **frozen) for _ in range(2))
    monkeypatch.setattr(
        session.model.sharing, "penalties", lambda: {"l2": penalty(session.model), "other": 2 * penalty(session.model)}
    )

    def penalty(model):
        return sum(p.square().sum() for p in model.shared_parameters())

    step = next(session.agenda.steps(0))
    losses, added = task_losses(session.model, step, session.data.tasks, session.autocast)
    assert step_with(session, losses, penalty=added) == step_with(plain, losses_of(plain, step))
    for p, q in zip(session.model.shared_parameters(), plain.model.shared_parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad + 3 * 2 * q)
    for p, q in zip(session.model.heads.parameters(), plain.model.heads.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad)


def test_a_step_of_several_tables_has_the_penalties_of_every_forward(training, monkeypatch):
    frame = training.houses()
    session = training.session({"one": (frame, training.tasks[:1]), "two": (frame, training.tasks[1:])})
    given = iter([{"l2": torch.tensor(2.0), "load/price": torch.tensor(5.0)}, {"l2": torch.tensor(4.0)}])
    monkeypatch.setattr(session.model.sharing, "penalties", lambda: next(given))
    step = next(session.agenda.steps(0))
    assert [names for names, _ in step] == [("price",), ("sold",)]
    _, penalty = task_losses(session.model, step, session.data.tasks, session.autocast)
    assert float(penalty) == (2 + 4) / 2 + 5
    assert task_losses(session.model, [((), step[0][1])], session.data.tasks, session.autocast) == ({}, None)


def test_a_task_of_weight_zero_does_not_move(training):
    session = training.session(balancer={"fixed": {"weights": {"price": 1.0, "sold": 0.0}}}, optimizer="adamw")
    head = list(session.model.heads["task_sold"].parameters())
    before = [p.detach().clone() for p in head]
    step = next(session.agenda.steps(0))
    assert step_with(session, losses_of(session, step)) == {"price": 1.0, "sold": 0.0}
    losses = losses_of(session, step)
    step_with(session, {"sold": losses["sold"]}, clip=None)  # nothing is left to learn from
    assert all(torch.equal(p, b) for p, b in zip(head, before, strict=True))
    assert all(p.grad is None for p in session.model.parameters())


@pytest.mark.parametrize("balancer", ["sum", "pcgrad", "cagrad"])
def test_a_step_may_reach_no_shared_parameter(training, balancer):
    """The first stage of an MLP on numbers has no parameters: what reads it alone reaches nothing that is shared."""
    tasks = [Regression("price", reads=0), Regression("a_again", column="a", reads=0), *training.tasks[1:]]
    tasks += [Regression("b_again", column="b")]
    encoder = {"mlp": {"widths": [8], "dropout": 0.0}}
    session = training.session({"all": (training.houses(), tuple(tasks))}, encoder=encoder, balancer=balancer)
    batch = session.data.training["all"].batch(torch.arange(16))
    assert list(session.model.shared_parameters())
    step = [(("price", "a_again"), batch)]
    step_with(session, losses_of(session, step))
    assert all(p.grad is None for p in session.model.shared_parameters())
    assert all(p.grad.any() for p in session.model.heads["task_price"].parameters())
    cosine = gradient_cosines(session.model, [step], session.data.tasks)["price|a_again"]
    assert cosine != cosine


def test_gradients_are_cut_before_the_optimizer_moves(training):
    session = training.session(optimizer="sgd", learning_rate=1.0, clip_value=1e-3)
    before = [p.detach().clone() for p in session.model.parameters()]
    step_with(session, losses_of(session, next(session.agenda.steps(0))))
    moves = [(p - b).abs().max().item() for p, b in zip(session.model.parameters(), before, strict=True)]
    assert max(moves) == pytest.approx(1e-3, rel=1e-3)


def test_the_forward_pass_is_in_half_precision_and_the_loss_is_not(training):
    session = training.session(precision="bfloat16")
    seen = []
    session.model.heads["task_price"].register_forward_hook(lambda m, i, o: seen.append(o.dtype))
    losses = losses_of(session, next(session.agenda.steps(0)))
    assert seen == [torch.bfloat16]
    assert {loss.dtype for loss in losses.values()} == {torch.float32}


# Pairs ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def people(training):
    """Rows of somebody and of somebody else; `who` is known in every fourth row only."""
    frame = training.houses()
    frame["who"] = [f"p{k % 3}" if k % 4 == 0 else None for k in range(len(frame))]
    tasks = (Similarity("who", dim=2), Regression("price"))
    return {"all": (frame, tasks)}


@pytest.mark.parametrize("balancer", ["sum", "pcgrad"])
def test_a_batch_without_pairs_leaves_the_task_out(training, people, balancer):
    session = training.session(people, balancer=balancer)
    batch = session.data.training["all"].batch(torch.tensor([0, 1, 2, 3]))
    assert batch.labelled == ("who", "price"), "one row has an identity, which makes no pair"
    step = [(("who", "price"), batch)]
    losses = losses_of(session, step)
    assert set(losses) == {"price"}
    step_with(session, losses)
    assert all(torch.isfinite(p).all() for p in session.model.parameters())
    assert all(p.grad is None for p in session.model.heads["task_who"].parameters())
    assert gradient_cosines(session.model, [step], session.data.tasks) == {}


def test_a_batch_with_one_pair_trains_it(training, people):
    session = training.session(people)
    batch = session.data.training["all"].batch(torch.tensor([0, 4, 2]))
    losses, _ = task_losses(session.model, [(("who",), batch)], session.data.tasks, nullcontext)
    assert torch.isfinite(losses["who"])
    step_with(session, losses)
    assert all(p.grad is not None for p in session.model.heads["task_who"].parameters())


def test_only_tasks_of_pairs_are_asked_how_many_there_are():
    class Count(torch.Tensor):
        def __bool__(self):
            raise AssertionError("this waits for the device")

    def kinds(cls):
        return [cls, *(k for sub in cls.__subclasses__() for k in kinds(sub))]

    assert [cls.kind for cls in kinds(Task) if cls.uses_pairs and cls.__module__.startswith("polytask.")] == [
        "similarity"
    ]

    class Quick:
        uses_pairs = False

        def loss(self, output, target, present, weight):
            return output.sum(), torch.tensor(2.0).as_subclass(Count)

    class Still:
        labelled, inputs, targets, present, weight = ("a",), {}, {"a": None}, {"a": None}, {"a": None}

    class Plain(torch.nn.Module):
        penalties = dict

        def forward(self, inputs, names):
            return {"a": torch.tensor([4.0])}

        def loss(self, task, output, batch):
            return task.loss(output, *(cells["a"] for cells in (batch.targets, batch.present, batch.weight)))

    found, _ = task_losses(Plain(), [(("a",), Still())], {"a": Quick()}, nullcontext)
    assert float(found["a"]) == 2.0
