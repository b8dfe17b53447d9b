"""Every sharing scheme in the catalogue, on encoders: what docs/concepts.md promises of a Sharing."""

import copy

import pytest
import torch
from every_sharing import (
    CASES,
    NARROW,
    OF_EVERY_SCHEME,
    ON_EVERY_ENCODER,
    Case,
    build,
    inputs_for,
    maker,
    takes_together,
)

from polytask.config import as_choice, written
from polytask.encoders import ENCODERS
from polytask.sharing import SHARINGS, Record, Sharing
from polytask.tasks import Regression


def _pairs():
    """n + m: every scheme on two encoders, every encoder under two schemes; the rest of the product is slow."""
    seen = set()
    for case in CASES:
        is_first = case.name not in seen
        seen.add(case.name)
        for encoder in ENCODERS:
            quick = encoder in OF_EVERY_SCHEME or (is_first and case.name in ON_EVERY_ENCODER)
            marks = () if quick else pytest.mark.slow
            if encoder not in case.refuses and (quick or is_first):
                yield pytest.param((case, encoder), id=f"{case}-{encoder}", marks=marks)


@pytest.fixture(params=_pairs())
def built(request):
    case, encoder = request.param
    return (*build(case, encoder), case)


def read(sharing, features, task):
    return [features[task][stage].values for stage in sharing.reads(task)]


def loss_of(sharing, features, task):
    return sum(value.square().sum() for value in read(sharing, features, task))


def test_every_scheme_has_a_case():
    assert {case.name for case in CASES} == set(SHARINGS)
    assert set(NARROW) == set(ENCODERS)
    assert {*ON_EVERY_ENCODER} <= set(SHARINGS)


def test_every_scheme_says_when_to_use_it():
    assert all(cls.use_when for cls in SHARINGS.values())


def test_every_task_gets_the_stages_its_head_reads(built):
    sharing, spec, case = built
    features = sharing.eval()(inputs_for(spec), list(case.tasks))
    for task in case.tasks:
        assert len(features[task]) >= sharing.depth(task)
        for stage in sharing.reads(task):
            values = features[task][stage].values
            assert values.shape[1 if values.ndim != 3 else 2] == sharing.widths_of(task)[stage]
            assert torch.isfinite(values).all()


def reached_by(sharing, loss):
    parameters = list(sharing.parameters())
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {id(p) for p, g in zip(parameters, gradients, strict=True) if g is not None}


def test_declared_parameters_are_those_the_graph_reaches(built):
    """Each task's loss, of a forward for all; what a penalty alone reaches belongs to no task."""
    sharing, spec, case = built
    sharing.train()
    reached = {}
    for task in case.tasks:
        features = sharing(inputs_for(spec), list(case.tasks) if takes_together(sharing) else [task])
        reached[task] = reached_by(sharing, loss_of(sharing, features, task))
    counts = {id(p): sum(id(p) in found for found in reached.values()) for p in sharing.parameters()}
    assert {id(p) for p in sharing.shared_parameters()} == {p for p, n in counts.items() if n >= 2}
    for task in case.tasks:
        assert {id(p) for p in sharing.task_parameters(task)} == {p for p in reached[task] if counts[p] == 1}
    assert {id(p) for p in sharing.penalty_parameters()} == {p for p, n in counts.items() if n == 0}


def test_absent_task_keeps_its_own_parameters_without_gradient(built):
    sharing, spec, case = built
    for present in case.tasks:
        sharing.zero_grad(set_to_none=True)
        features = sharing(inputs_for(spec), [present])
        assert set(features) == {present}
        loss_of(sharing, features, present).backward()
        for task in case.tasks:
            if task != present:
                assert all(p.grad is None for p in sharing.task_parameters(task))


def test_only_what_a_task_needs_is_run(built):
    sharing, spec, case = built
    count = []
    for module in sharing.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda *_: count.append(1))
    sharing.eval()

    def rows_times_modules(tasks):
        count.clear()
        sharing(inputs_for(spec), tasks)
        return len(count)

    together = rows_times_modules(list(case.tasks))
    assert all(rows_times_modules([task]) <= together for task in case.tasks)
    assert min(rows_times_modules([task]) for task in case.tasks) < together


def test_dropping_tasks_at_inference_changes_no_output(built):
    sharing, spec, case = built
    sharing.eval()
    together = sharing(inputs_for(spec), list(case.tasks))
    for task in case.tasks:
        alone = sharing(inputs_for(spec), [task])
        for one, other in zip(read(sharing, alone, task), read(sharing, together, task), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("case", [c for c in CASES if c.tasks == Case("hard").tasks], ids=str)
@pytest.mark.parametrize("encoder", OF_EVERY_SCHEME)
@pytest.mark.parametrize("reads", [-2, (0, -2), -1])
def test_a_head_reads_the_same_stage_alone_and_together(case, encoder, reads):
    """Counted from the end of the whole chain, not from where this task's part of it ends."""
    if encoder in case.refuses:
        pytest.skip("refused")
    stages = (reads,) if isinstance(reads, int) else reads
    built, spec = build(case, encoder, {"price": stages, "sold": (-1,), "grade": (-1,)})
    built.eval()
    widths = built.widths_of("price")
    head = Regression("price", reads=reads).head({}, widths)
    inputs, together = inputs_for(spec), built(inputs_for(spec), ["price", "sold", "grade"])["price"]
    assert torch.equal(head(built(inputs, ["price"])["price"]), head(together))
    read = torch.cat([together[stage % len(widths)].pooled() for stage in stages], dim=1)
    assert torch.equal(head.layers(read).squeeze(1), head(together))


def test_a_scheme_that_lacks_a_part_cannot_be_built():
    class Half(Sharing):
        def task_parameters(self, task):
            return iter(())

    with pytest.raises(TypeError, match=r"abstract.*__init__.*forward"):
        Half(None, {}, None)


def test_no_row_influences_another_in_evaluation(built):
    sharing, spec, case = built
    sharing.eval()
    inputs = inputs_for(spec)
    whole = sharing(inputs, list(case.tasks))
    for rows in (slice(2, 4), slice(5, 6)):
        part = sharing({name: value[rows] for name, value in inputs.items()}, list(case.tasks))
        for task in case.tasks:
            for one, other in zip(read(sharing, part, task), read(sharing, whole, task), strict=True):
                torch.testing.assert_close(one, other[rows], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", OF_EVERY_SCHEME)
@pytest.mark.parametrize("name", SHARINGS)
def test_it_is_exported_for_any_number_of_rows(name, encoder):
    case = next(case for case in CASES if case.name == name)
    if encoder in case.refuses:
        pytest.skip("refused")
    sharing, spec = build(case, encoder)

    class Values(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.sharing = sharing

        def forward(self, inputs):
            return [read(sharing, self.sharing(inputs, list(case.tasks)), task) for task in case.tasks]

    inputs, rows = inputs_for(spec), torch.export.Dim("rows", min=2)
    shapes = ({column: {0: rows} for column in inputs},)
    exported = torch.export.export(Values().eval(), (inputs,), dynamic_shapes=shapes).module()
    others = inputs_for(spec, rows=9)
    for one, other in zip(exported(others), Values().eval()(others), strict=True):
        torch.testing.assert_close(one, other)


def test_state_round_trip(built, request):
    sharing, spec, case = built
    for tasks in [[*case.tasks]] if takes_together(sharing) else [[task] for task in case.tasks]:
        sharing.train()(inputs_for(spec), tasks)
    fresh, _ = build(case, request.node.callspec.params["built"][1])
    with torch.no_grad():
        for p in fresh.parameters():
            p.add_(1.0)
    fresh.load_state_dict(sharing.state_dict())
    for task in case.tasks:
        one, other = (s.eval()(inputs_for(spec), [task]) for s in (sharing, fresh))
        for a, b in zip(read(sharing, one, task), read(sharing, other, task), strict=True):
            assert torch.equal(a, b)


def test_the_same_seeds_give_the_same_weights_and_the_next_others(built, request):
    sharing, _, case = built
    again, _ = build(case, request.node.callspec.params["built"][1])
    state, other = sharing.state_dict(), again.state_dict()
    assert state.keys() == other.keys()
    assert all(torch.equal(state[key], other[key]) for key in state)


def test_a_copy_is_its_own(built):
    sharing, spec, case = built
    for tasks in [[*case.tasks]] if takes_together(sharing) else [[task] for task in case.tasks]:
        sharing.train()(inputs_for(spec), tasks)  # what is remembered of it, graph and all, is not copied
    twin = copy.deepcopy(sharing)
    before = sharing.eval()(inputs_for(spec), list(case.tasks))
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1.0)
    after = sharing(inputs_for(spec), list(case.tasks))
    for task in case.tasks:
        assert all(map(torch.equal, read(sharing, before, task), read(sharing, after, task)))


def test_training_gives_finite_gradients_and_penalties(built):
    sharing, spec, case = built
    sharing.train()
    # Half precision too, and one task a forward as an alternating agenda has it.
    for tasks in ([*case.tasks], *([task] for task in case.tasks)):
        sharing.zero_grad(set_to_none=True)
        if len(tasks) > 1 and not takes_together(sharing):
            continue
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = sharing(inputs_for(spec), tasks)
        penalties = sharing.penalties()
        assert all(value.shape == () and torch.isfinite(value) for value in penalties.values())
        sum([loss_of(sharing, features, task).float() for task in tasks] + [*penalties.values()]).backward()
        assert all(torch.isfinite(p.grad).all() for p in sharing.parameters() if p.grad is not None)


def test_records_are_tables_of_finite_numbers(built):
    sharing, spec, case = built
    if takes_together(sharing):
        sharing.train()(inputs_for(spec), list(case.tasks))
    for title, record in sharing.records().items():
        assert isinstance(record, Record)
        assert title
        assert [len(row) for row in record.values] == [len(record.columns)] * len(record.rows)
        assert all(value == value for row in record.to_json()["values"] for value in row)


def test_inputs_are_left_as_they_are(built):
    sharing, spec, case = built
    inputs = inputs_for(spec)
    before = {key: value.clone() for key, value in inputs.items()}
    sharing.eval()(inputs, list(case.tasks))
    assert all(torch.equal(inputs[key], before[key]) for key in before)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_settings_are_written_and_read_again(case):
    choice = as_choice({case.name: case.settings}, SHARINGS, "sharing")
    assert as_choice(written(choice, SHARINGS, "sharing"), SHARINGS, "sharing") == choice


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("case", [case for case in CASES if case.is_chain_alone], ids=str)
def test_one_task_alone_is_the_plain_chain(case, encoder):
    if encoder in case.refuses:
        pytest.skip("refused")
    built, spec = build(case, encoder, {"price": (-1,)})
    plain = maker(encoder, case.encoders.get(encoder))[0](0).eval()
    expected = plain(inputs_for(spec))[-1].values
    assert torch.equal(built.eval()(inputs_for(spec), ["price"])["price"][-1].values, expected)
    assert not list(built.shared_parameters())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_permuting_tasks_permutes_outputs(case):
    encoder = next(name for name in OF_EVERY_SCHEME if name not in case.refuses)
    forward, spec = build(case, encoder)
    backward, _ = build(case, encoder, dict(reversed(case.tasks.items())))
    one, other = (s.eval()(inputs_for(spec), list(case.tasks)) for s in (forward, backward))
    for task in case.tasks:
        for a, b in zip(read(forward, one, task), read(backward, other, task), strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("case", "encoder", "sentence"),
    [(case, encoder, text) for case in CASES for encoder, text in case.refuses.items()],
    ids=str,
)
def test_what_makes_no_sense_is_refused_with_a_sentence(case, encoder, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        build(case, encoder)
    assert "\n" not in str(error.value)
    assert case.name in str(error.value)
