from collections import Counter

import pytest
import torch

from polytask.data import Targets, TensorTable
from polytask.feature import NUMBERS
from polytask.train import AGENDAS, Alternating, Joint, task_losses, training_step


def table(rows: int, *tasks: str, first: int = 0, labels: dict[str, list[int]] | None = None) -> TensorTable:
    """Rows that say who they are: the only input is the row's number; `labels` names the labelled rows, if not all."""
    numbers = torch.arange(first, first + rows, dtype=torch.float32).unsqueeze(1)
    ones, weight = torch.ones(rows), {}
    for name in tasks:
        weight[name] = ones.clone()
        if labels and name in labels:
            weight[name] = torch.zeros(rows)
            weight[name][labels[name]] = 1.0
    present = {name: cells > 0 for name, cells in weight.items()}
    return TensorTable({NUMBERS: numbers}, Targets(dict.fromkeys(tasks, ones), present, weight))


def drawn(agenda, epoch=0, first=0):
    """(task names, row numbers) of every part of every step."""
    return [
        [(names, batch.inputs[NUMBERS].flatten().int().tolist()) for names, batch in step]
        for step in agenda.steps(epoch, first)
    ]


def rows_by_task(steps):
    seen = {}
    for step in steps:
        for names, rows in step:
            for name in names:
                seen.setdefault(name, Counter()).update(rows)
    return seen


def test_joint_on_one_table_is_one_pass_with_all_tasks():
    steps = drawn(Joint({"all": table(50, "price", "sold")}, 16, 0))
    assert [names for ((names, _),) in steps] == [("price", "sold")] * 4
    assert rows_by_task(steps)["price"] == Counter(range(50))


def test_joint_on_several_tables_takes_a_batch_of_each_and_repeats_the_smaller():
    agenda = Joint({"price": table(48, "price"), "sold": table(20, "sold", first=100)}, 16, 0)
    steps = drawn(agenda)
    assert len(steps) == agenda.steps_per_epoch == 3
    assert all([names for names, _ in step] == [("price",), ("sold",)] for step in steps)
    seen = rows_by_task(steps)
    assert seen["price"] == Counter(range(48))
    assert set(seen["sold"]) == set(range(100, 120))
    assert max(seen["sold"].values()) == 2, "the small table begins again, its first pass complete"


def test_joint_with_given_steps_goes_on_through_the_pass():
    agenda = Joint({"all": table(64, "price")}, 16, 0, steps=3)
    first, second = drawn(agenda, 0), drawn(agenda, 1)
    assert len(first) == len(second) == 3
    assert rows_by_task(first + second[:1])["price"] == Counter(range(64))


def test_proportional_gives_every_row_of_every_table_once_an_epoch():
    agenda = Alternating({"price": table(70, "price"), "sold": table(20, "sold", first=100)}, 16, 0)
    for epoch in range(3):
        steps = drawn(agenda, epoch)
        assert all(len(step) == 1 and len(step[0][0]) == 1 for step in steps)
        seen = rows_by_task(steps)
        assert seen == {"price": Counter(range(70)), "sold": Counter(range(100, 120))}


def test_proportional_on_a_common_table_gives_each_task_all_rows_in_its_own_order():
    steps = drawn(Alternating({"all": table(40, "price", "sold")}, 16, 0))
    assert rows_by_task(steps) == {"price": Counter(range(40)), "sold": Counter(range(40))}
    orders = {name: [rows for ((names, rows),) in steps if names == (name,)] for name in ("price", "sold")}
    assert orders["price"] != orders["sold"]


def test_a_task_steps_on_rows_with_a_label_of_its_own():
    few = [3, 50, 51, 120, 299]
    shared = table(300, "price", "sold", labels={"sold": few})
    agenda = Alternating({"all": shared}, 4, 0)
    assert agenda.steps_per_epoch == 75 + 1
    seen = rows_by_task(drawn(agenda))
    assert seen == {"price": Counter(range(300)), "sold": Counter(few)}
    turns = Alternating({"all": shared}, 4, 0, order="round_robin", steps=10)
    assert all(set(names) <= set(batch.labelled) for step in turns.steps(0) for names, batch in step)
    state = turns.state()
    assert set(state["sold"]) == {"pass", "position"}
    again = Alternating({"all": shared}, 4, 0, order="round_robin", steps=10)
    again.restore(state)
    assert drawn(again, 1) == drawn(turns, 1)


@pytest.mark.parametrize("rows", [[], [7]])
def test_under_two_labelled_rows_all_rows_pass_as_batch_norm_needs_two(rows):
    agenda = Alternating({"all": table(20, "price", "sold", labels={"sold": rows})}, 8, 0)
    assert rows_by_task(drawn(agenda))["sold"] == Counter(range(20))


def test_round_robin_takes_turns():
    tables = {"price": table(70, "price"), "sold": table(20, "sold")}
    steps = drawn(Alternating(tables, 16, 0, order="round_robin", steps=7))
    assert [names[0] for ((names, _),) in steps] == ["price", "sold"] * 3 + ["price"]


def test_uniform_draws_tasks_alike_whatever_their_sizes():
    tables = {"price": table(70, "price"), "sold": table(20, "sold")}
    agenda = Alternating(tables, 16, 0, order="uniform", steps=600)
    turns = Counter(names[0] for ((names, _),) in drawn(agenda))
    assert turns.total() == 600
    assert abs(turns["price"] - 300) < 4 * 600**0.5 / 2, "within four standard deviations of a fair coin"
    assert [n for ((n, _),) in drawn(agenda, 1)] != [n for ((n, _),) in drawn(agenda, 2)]


def test_the_order_of_tasks_depends_on_seed_and_epoch_alone():
    tables = {"price": table(70, "price"), "sold": table(64, "sold")}
    one, other = Alternating(tables, 16, 5), Alternating(tables, 16, 5)
    drawn(one, 0)
    assert [n for ((n, _),) in drawn(one, 3)] == [n for ((n, _),) in drawn(other, 3)]
    assert drawn(Alternating(tables, 16, 5)) != drawn(Alternating(tables, 16, 6))


@pytest.mark.parametrize("order", ["proportional", "uniform", "round_robin", "joint"])
@pytest.mark.parametrize("cut", [0, 1, 4])
def test_restored_within_an_epoch_the_same_steps_remain(order, cut):
    def make():
        tables = {"price": table(70, "price"), "sold": table(20, "sold", first=100)}
        return Joint(tables, 16, 0) if order == "joint" else Alternating(tables, 16, 0, order=order)

    agenda = make()
    drawn(agenda, 0)
    state, remaining = None, []
    for position, step in enumerate(agenda.steps(1)):
        if position >= cut:
            remaining.append([(names, batch.inputs[NUMBERS].flatten().int().tolist()) for names, batch in step])
        if position == cut - 1:
            state = agenda.state()
    fresh = make()
    if cut == 0:
        drawn(fresh, 0)
    else:
        fresh.restore(state)
    assert drawn(fresh, 1, first=cut) == remaining
    assert drawn(fresh, 2) == drawn(agenda, 2)


@pytest.mark.parametrize("kind", AGENDAS)
def test_settings_that_cannot_be(kind):
    with pytest.raises(ValueError, match=r"steps=0: at least 1"):
        AGENDAS[kind](
            {"all": table(8, "price")}, 4, 0, **({"order": "uniform"} if kind == "alternating" else {}), steps=0
        )


def test_steps_of_a_proportional_pass_cannot_be_chosen():
    with pytest.raises(ValueError, match="steps has no effect with order='proportional'"):
        Alternating({"all": table(8, "price")}, 4, 0, steps=3)


@pytest.mark.parametrize("optimizer", ["adamw", {"sgd": {"momentum": 0.9}}, "adagrad"])
def test_a_task_whose_turn_it_is_not_stands_still(training, optimizer):
    frame = training.houses()
    frames = {task.name: (frame, [task]) for task in training.tasks}
    session = training.session(
        frames, agenda={"alternating": {"order": "round_robin"}}, optimizer=optimizer, weight_decay=0.1
    )
    own = {name: list(session.model.task_parameters(name)) for name in session.data.tasks}
    for step in session.agenda.steps(0):
        ((names, _),) = step
        values = {name: [p.detach().clone() for p in ps] for name, ps in own.items()}
        states = {
            name: [
                {k: torch.as_tensor(v).clone() for k, v in session.optimizer.state[p].items() if v is not None}
                for p in ps
            ]
            for name, ps in own.items()
        }
        losses, _ = task_losses(session.model, step, session.data.tasks, session.autocast)
        training_step(losses, session.shared, session.balancer, session.optimizer, epoch=0, scores={})
        for name, parameters in own.items():
            moved = [not torch.equal(p, before) for p, before in zip(parameters, values[name], strict=True)]
            if name in names:
                assert all(moved)
                continue
            assert not any(moved)
            assert all(p.grad is None for p in parameters)
            for p, before in zip(parameters, states[name], strict=True):
                after = session.optimizer.state[p]
                assert all(torch.equal(torch.as_tensor(after[key]), value) for key, value in before.items())
        assert all(p.grad is not None for p in session.model.shared_parameters())
