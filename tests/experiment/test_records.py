"""What a sharing scheme has learnt, in every epoch's line of the history and in the report: from the model that trains."""

import json

import pytest

import polytask as pt
from polytask.sharing import SHARINGS, Hard, Record


class Recording(Hard):
    """Hard sharing that counts its forwards, and tells how large its trunk's weights are."""

    calls = 0

    def forward(self, inputs, tasks):
        self.calls += 1
        self.was_training = self.training
        return super().forward(inputs, tasks)

    def records(self):
        sizes = [float(p.abs().mean()) for p in self.trunk.parameters()]
        return {
            "size": Record("amounts", ["mean"], [f"p{i}" for i in range(len(sizes))], [sizes]),
            "last forward": Record("groups", ["training"], ["is"], [[float(self.was_training)]]),
            "calls": Record("amounts", ["calls"], ["all"], [[float(self.calls)]]),
        }


@pytest.fixture
def recording(monkeypatch):
    monkeypatch.setitem(SHARINGS, "recording", Recording)


def lines(run):
    return [json.loads(line) for line in (run.path / "history.jsonl").read_text().splitlines()]


def test_every_epoch_has_its_records(fit, recording):
    trained = fit(sharing="recording", epochs=3)
    found = [line["sharing"] for line in lines(trained)]
    assert [list(records) for records in found] == [["size", "last forward", "calls"]] * 3
    assert found[0]["size"]["kind"] == "amounts"
    values = [records["size"]["values"][0] for records in found]
    assert values[0] != values[1] != values[2]
    # From the model as its last step left it, before validation runs it again.
    assert [records["last forward"]["values"] for records in found] == [[[1.0]]] * 3
    weights = trained.model().sharing.trunk.parameters()
    best = max(line["epoch"] for line in lines(trained) if "mean" in line["improved"])
    assert values[best - 1] == pytest.approx([float(p.detach().abs().mean()) for p in weights])
    assert trained.history["sharing.size.kind"].tolist() == ["amounts"] * 3


def test_the_model_that_trains_speaks_and_not_its_average(fit, recording):
    plain, average = (fit(sharing="recording", folder=name, ema=ema) for name, ema in (("a", None), ("b", 0.99)))
    sizes = [[line["sharing"]["size"] for line in lines(run)] for run in (plain, average)]
    assert sizes[0] == sizes[1]


def test_a_scheme_without_records_leaves_no_trace(fit):
    assert all("sharing" not in line for line in lines(fit()))


def test_numbers_that_are_not_finite_are_null(fit, recording, monkeypatch):
    nan = Record("amounts", ["a"], ["b"], [[float("nan")]])
    monkeypatch.setattr(Recording, "records", lambda self: {"odd": nan})
    trained = fit(sharing="recording")
    assert lines(trained)[0]["sharing"]["odd"]["values"] == [[None]]
    assert pt.report(trained, trained.path.parent / "page" / "report.html").is_file()


def test_the_report_draws_them(fit, recording, tmp_path):
    trained = fit(sharing="recording", epochs=3)
    page = pt.report(trained, tmp_path / "page" / "report.html")
    text = page.with_suffix(".md").read_text()
    assert "Curves of amount by epoch, size." in text
    written = json.loads(page.with_name("results.json").read_text())
    best = max(line["epoch"] for line in lines(trained) if "mean" in line["improved"])
    assert written["sharing"] == lines(trained)[best - 1]["sharing"]
    assert written["graph"]["tasks"] == ["price", "sold"]
