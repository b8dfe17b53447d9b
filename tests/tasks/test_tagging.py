import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from polytask.data import (
    SplitSettings,
    Table,
    Targets,
    TensorTable,
    encode_targets,
    fit_task,
    make_splits,
    target_cells,
)
from polytask.errors import SchemaError
from polytask.feature import Feature, InputSpec, OutputSpec, SequenceSpec, mask_of
from polytask.ragged import Ragged
from polytask.runs.evaluation import judge, outputs_of, predictions
from polytask.tasks import Classification, Tagging

TAGS = ["O", "B-a", "I-a", "E-a", "S-a", "B-b", "I-b", "E-b", "S-b"]


def lists(*cells):
    values = np.empty(len(cells), dtype=object)
    values[:] = cells
    return values


def slow_spans(tags):
    """conlleval's rule, a token at a time."""
    found, begin, kind, before = set(), None, None, "O"
    for place, tag in enumerate([*tags, "O"]):
        prefix, is_other = tag[0], tag[2:] != kind
        ends = before != "O" and (prefix in "BSO" or before in "ES" or is_other)
        if ends:
            found.add((begin, place - 1, kind))
        begins = prefix in "BS" or (prefix in "IE" and (before in "OES" or is_other))
        if begins:
            begin, kind = place, tag[2:]
        before = prefix
        kind = kind if tag != "O" else None
    return found


def slow_f1(predicted, wanted):
    pairs = [(slow_spans(one), slow_spans(other)) for one, other in zip(predicted, wanted, strict=True)]
    total = sum(len(one) + len(other) for one, other in pairs)
    return 2 * sum(len(one & other) for one, other in pairs) / total if total else float("nan")


def fitted_of(task, values):
    return task.fit(values, np.ones(len(values), dtype=bool))


def test_spans_that_conlleval_counts():
    # A wrong I- at the beginning begins a span; another type ends one; E- and S- end one.
    assert slow_spans(["I-a", "I-a", "O", "B-a", "B-a", "I-b"]) == {(0, 1, "a"), (3, 3, "a"), (4, 4, "a"), (5, 5, "b")}
    assert slow_spans(["S-a", "B-a", "E-a", "I-a", "O"]) == {(0, 0, "a"), (1, 2, "a"), (3, 3, "a")}


@given(
    rows=st.lists(
        st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), min_size=1, max_size=7),
        min_size=1,
        max_size=5,
    )
)
def test_span_f1_is_that_of_a_plain_count(rows):
    task = Tagging("t")
    fitted = fitted_of(task, lists(TAGS))
    wanted = [[pair[0] for pair in row] for row in rows]
    predicted = [[pair[1] for pair in row] for row in rows]
    everywhere = np.ones(len(rows), dtype=bool)
    target, kept = (cells.padded()[0] for cells in task.encode(lists(*wanted), everywhere, fitted))
    said = task.encode(lists(*predicted), everywhere, fitted)[0].padded()[0]
    output = nn.functional.one_hot(said, len(TAGS)).float()
    found = task.evaluate(output, target, kept, fitted)
    assert found["span_f1"] == pytest.approx(slow_f1(predicted, wanted), nan_ok=True)
    right = [one == other for row in zip(predicted, wanted, strict=True) for one, other in zip(*row, strict=True)]
    assert found["token_accuracy"] == pytest.approx(np.mean(right))


def test_plain_tags_are_judged_by_tokens():
    task = Tagging("t")
    fitted = fitted_of(task, lists(["noun", "verb"], ["noun"]))
    assert [metric.name for metric in task.metrics_for(fitted)] == ["token_accuracy"]
    with pytest.raises(SchemaError, match=r"primary='span_f1' needs tags such as B-city, I-city and O, but there are"):
        fitted_of(Tagging("t", primary="span_f1"), lists(["noun", "verb"]))


def test_the_head_gives_an_output_a_token_and_refuses_vectors():
    task = Tagging("t", reads=(0, 1), hidden=(5,))
    fitted = fitted_of(task, lists(["a", "b", "c"]))
    head = task.head(fitted, (4, 2))
    mask = torch.tensor([[True, True, False], [True, True, True]])
    features = [Feature(torch.randn(2, 3, c), mask) for c in (4, 2)]
    output = head(features)
    assert output.shape == (2, 3, 3)
    assert (output[0, 2] == 0).all()
    one = head.each.layers(torch.cat([f.values[1, 2] for f in features])[None])
    torch.testing.assert_close(output[1, 2], one[0])
    with pytest.raises(ValueError, match=r"task 't' tags tokens, but stage 1 .* one vector or picture a row"):
        head([features[0], Feature(torch.randn(2, 2))])
    with pytest.raises(ValueError, match=r"reads stages of different lengths: \[3, 2\] tokens"):
        head([features[0], Feature(torch.randn(2, 2, 2))])
    assert task.output_spec(fitted) == OutputSpec((1, 3), "softmax", ("a", "b", "c"))


def test_stages_and_inputs_are_checked_before_training():
    task, words = Tagging("t", tokens="words"), SequenceSpec(num_codes=9)
    spec = InputSpec(sequences={"words": words, "sound": words})
    task.check_encoder(spec, ["vector", "sequence"])
    with pytest.raises(ValueError, match="stage -1 of the encoder gives one vector"):
        task.check_encoder(spec, ["sequence", "vector"])
    with pytest.raises(ValueError, match=r"wants 'words' among the inputs; the sequences among them: 'sound'"):
        task.check_encoder(InputSpec(sequences={"sound": words}), ["sequence"])
    with pytest.raises(ValueError, match=r"wants tokens=…, the column of them; the sequences among them: none"):
        Tagging("t").check_encoder(InputSpec(), ["sequence"])


def test_outputs_may_be_longer_or_shorter_by_padding_alone():
    task = Tagging("t")
    target, kept = torch.tensor([[0, 1, 0], [1, 0, 0]]), torch.tensor([[True, True, False], [True, False, False]])
    output = torch.randn(2, 3, 2)
    expected = task.loss(output, target, kept, kept.float())
    longer = torch.cat([output, torch.full((2, 2, 2), float("nan"))], dim=1)
    assert task.loss(longer, target, kept, kept.float()) == expected
    assert task.loss(output[:, :2], target, kept, kept.float()) == expected
    kept[0, 2] = True
    with pytest.raises(ValueError, match=r"task 't': the model gives 2 outputs a row, but rows have up to 3 tags"):
        task.loss(output[:, :2], target, kept, kept.float())


def test_a_tag_training_had_not_and_a_missing_one_do_not_count():
    task = Tagging("t")
    fitted = fitted_of(task, lists(["a", "b", None]))
    assert fitted["counts"] == [1, 1]
    target, kept = task.encode(lists(["b", "z", None], None, []), np.array([True, False, True]), fitted)
    assert target.lengths.tolist() == [3, 0, 0]
    assert kept.values.tolist() == [True, False, False]


class Word(nn.Module):
    """Says of every word what its code is."""

    def forward(self, inputs, names):
        return {name: nn.functional.one_hot(inputs["words"], 3).float() for name in names}


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_predictions_are_as_long_as_their_rows(batch_size):
    frame = pd.DataFrame(
        {"tags": lists(["a", "b", "c"], ["b"], [], ["c", "c"]), "words": lists(*["xyz", "x", "xxxx", "xz"])}
    )
    frame["words"] = frame["words"].map(list)
    task, rows = Tagging("tags", tokens="words"), np.arange(4)
    table = Table.of(frame)
    fitted = {"tags": fit_task(table, task, rows)}
    targets = encode_targets(table, [task], fitted, rows)
    assert targets.labelled()["tags"].tolist() == [True, True, False, True]
    codes = Ragged.of([np.array([0, 1, 2]), np.array([1]), np.array([0, 0, 2, 1]), np.array([2, 2])])
    encoded = TensorTable({"words": codes}, targets)
    outputs = outputs_of(Word(), encoded, [task], batch_size)
    found = predictions([task], fitted, outputs, probabilities=True, index=frame.index)
    assert found["tags"].tolist() == [["a", "b", "c"], ["b"], ["a", "a", "c", "b"], ["c", "c"]]
    scores = judge([task], fitted, outputs, encoded)["tags"]
    assert (scores["token_accuracy"], scores["skill"], scores["rows"]) == (1.0, 1.0, 3)
    assert scores["loss"] == pytest.approx(-np.log(np.e / (np.e + 2)))


def test_lengths_are_compared_with_the_tokens():
    frame = pd.DataFrame(
        {"tags": lists(["a", "b"], ["a"]), "words": lists(["x", "y"], ["x", "y", "z"]), "text": ["x y", "x"]}
    )
    with pytest.raises(SchemaError, match=r"row 1: 1 tags in column 'tags' for 3 tokens in column 'words'"):
        fit_task(Table.of(frame), Tagging("tags", tokens="words"), np.arange(2))
    with pytest.raises(SchemaError, match=r"column 'text' is to hold a list of tokens a row, got 'x y' in row 0"):
        fit_task(Table.of(frame), Tagging("tags", tokens="text"), np.arange(2))
    with pytest.raises(SchemaError, match=r"no column 'word' in the table; did you mean 'words'"):
        fit_task(Table.of(frame), Tagging("tags", tokens="word"), np.arange(2))
    assert target_cells(Table.of(frame), Tagging("tags"))[1].all()


def test_rows_without_tags_are_missing_for_the_split_too():
    frame = pd.DataFrame({"x": range(60), "tags": lists(*[["a", "b"], [], None] * 20)})
    table, task = Table.of(frame), Tagging("tags")
    assert target_cells(table, task)[1].sum() == 20
    split = make_splits({"all": (table, [task])}, SplitSettings())["all"]
    assert sorted(np.unique(split.parts, return_counts=True)[1].tolist())[-1] == 40


@pytest.mark.parametrize(
    ("cell", "said"), [("a b", "got 'a b' in row 1; split the text into a list"), (3.0, "got 3.0 in row 1")]
)
def test_a_cell_is_a_list(cell, said):
    with pytest.raises(
        SchemaError, match=rf"task 't' \(column 't'\): a cell is a list of tags, one for each token, {said}"
    ):
        fitted_of(Tagging("t"), lists(["a", "b"], cell))
    with pytest.raises(SchemaError, match="tagging needs two tags or more, but the training rows hold one only, 'a'"):
        fitted_of(Tagging("t"), lists(["a"], ["a", "a"]))


def test_settings_are_checked():
    with pytest.raises(ValueError, match="tokens is the name of another column, that of the tokens, got 't'"):
        Tagging("t", tokens="t")


def test_other_kinds_have_no_lengths():
    assert Classification("c").lengths({mask_of("x"): torch.ones(2, 3) > 0}) is None
    assert Targets({}, {}, {}).labelled() == {}
