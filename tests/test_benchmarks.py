"""Every file of benchmark results says what was asked, on what machine, and whether its targets were met."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import polytask as pt
from polytask.sharing import SHARINGS

ROOT = Path(__file__).resolve().parents[1] / "benchmarks"
RESULTS = sorted((ROOT / "results").glob("*.json"))
KEYS = {"question", "command", "versions", "hardware", "threads", "seconds", "rows", "targets"}


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_are_complete(path: Path) -> None:
    result = json.loads(path.read_text(encoding="utf-8"))
    assert set(result) >= KEYS
    assert result["question"].endswith("?")
    assert {"polytask", "torch"} <= set(result["versions"])
    assert result["threads"] >= 1
    assert result["seconds"] > 0
    assert result["rows"]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_targets_are_met_exactly_where_they_say_so(path: Path) -> None:
    for target in json.loads(path.read_text(encoding="utf-8"))["targets"]:
        assert set(target) == {"name", "value", "target", "better", "met"}
        value, wanted = target["value"], target["target"]
        met = {"lower": value <= wanted, "higher": value >= wanted}[target["better"]]
        assert target["met"] is met, target["name"]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_script_of_that_name_asks_that_question(path: Path) -> None:
    script = ROOT / f"{path.stem}.py"
    assert script.exists()
    result = json.loads(path.read_text(encoding="utf-8"))
    assert script.read_text(encoding="utf-8").removeprefix('"""').startswith(result["question"])
    assert f"benchmarks/{path.stem}.py" in result["command"]


def test_real_data_rows_stand_beside_a_baseline() -> None:
    path = ROOT / "results" / "real_data.json"
    if not path.exists():
        pytest.skip("benchmarks/real_data.py has not been run")
    wanted = {"data", "task", "metric", "method", "mean", "sd", "seeds", "baseline", "baseline_method"}
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert all(set(row) >= wanted for row in rows)
    assert {row["method"].split(",")[0] for row in rows} == {"hard", "independent"}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    """A script of the benchmarks by its name, as a module."""
    monkeypatch.syspath_prepend(str(ROOT))
    threads = torch.get_num_threads()
    yield importlib.import_module
    torch.set_num_threads(threads)


def test_the_readme_of_the_examples_is_that_of_the_results(script) -> None:
    path = ROOT / "results" / "examples.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    written = (ROOT.parent / "examples" / "README.md").read_text(encoding="utf-8")
    assert written == script("examples").readme(rows), "run: python benchmarks/examples.py --readme"


def test_the_written_results_are_those_of_the_files(script) -> None:
    written = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    assert written == script("write_results").document(), "run: python benchmarks/write_results.py"


def test_a_step_is_timed_with_and_without_peers(script, monkeypatch, tmp_path) -> None:
    step_cost = script("step_cost")
    monkeypatch.setattr(step_cost, "ROUND_SECONDS", 0.0)
    monkeypatch.setattr(sys, "argv", ["step_cost.py", "--quick", "--out", str(tmp_path / "step_cost.json")])
    step_cost.main()
    result = json.loads((tmp_path / "step_cost.json").read_text(encoding="utf-8"))
    assert set(result) >= KEYS
    rows = {(row["implementation"], row["method"], row["way"]): row for row in result["rows"]}
    assert rows["pytorch", "sum", "plain"]["times_sum"] == 1.0
    wanted = {
        ("polytask", "uncertainty", "losses"),
        ("polytask", "nash_mtl", "exact"),
        ("polytask", "nash_mtl", "every=10"),
    }
    assert wanted <= set(rows)
    assert set(result["missing"]) == {"libmtl", "torchjd"} - set(result["versions"])
    for row in rows.values():
        assert row["milliseconds"] > 0
        if row["implementation"].startswith("torchjd") and row["method"] == "nash_mtl":
            assert row["difference"] < 1e-3
    assert any("times the plain loop" in target["name"] for target in result["targets"])


def test_a_target_names_its_dearest_row(script) -> None:
    step_cost = script("step_cost")
    at = {"implementation": "polytask", "way": "exact", "model": "mlp", "tasks": 8, "batch": 256}
    ours = [
        {**at, "method": name, "times_sum": ratio, "milliseconds": 10 * ratio}
        for name, ratio in (("mgda", 5.0), ("pcgrad", 6.0))
    ]
    peers = [
        {**row, "implementation": name, "milliseconds": ms}
        for row in ours
        for name, ms in (("libmtl", 90.0), ("torchjd autojac", 80.0))
    ]
    found = {target["name"]: target for target in step_cost.targets_of([*ours, *peers])}
    dear = found["mlp, 8 tasks, 256 rows: exact, times sum (dearest: pcgrad, mlp, 8 tasks, 256 rows)"]
    assert (dear["value"], dear["target"], dear["met"]) == (6.0, 5.5, False)
    slow = found["mlp, 8 tasks, 256 rows: exact, times the faster peer (slowest: pcgrad)"]
    assert (slow["value"], slow["target"], slow["met"]) == (0.75, 0.95, True)


def test_memory_is_the_running_sum_of_what_is_live(script) -> None:
    step_memory = script("step_memory")
    changes = [(1, 100), (2, 50), (3, -50), (5, 30), (6, 20), (7, -50), (12, 900)]
    events = [{"name": "[memory]", "ts": when, "args": {"Bytes": size}} for when, size in changes]
    span = {"name": step_memory.MARK, "ph": "X", "ts": 4, "dur": 6}
    assert step_memory.peak_of([span, *events]) == (100, 150)


def test_memory_of_the_plain_sum(script) -> None:
    step_memory = script("step_memory")
    start, peak = step_memory.peak_bytes(step_memory.PLAIN[0])
    parameters = 4 * (512 * 1024 + 1024 + 1024 * 512 + 512 + 32 * 513)
    assert 4 * parameters < start < 4.3 * parameters  # weights, gradients and two moments; batches
    assert start < peak < 1.5 * start


def test_a_step_is_timed_under_every_scheme(script, monkeypatch, tmp_path) -> None:
    from polytask.sharing import SHARINGS

    sharing_cost, expert_layers = script("sharing_cost"), script("expert_layers")
    monkeypatch.setattr(script("step_cost"), "ROUND_SECONDS", 0.0)
    monkeypatch.setattr(expert_layers, "ROUND_SECONDS", 0.0)
    monkeypatch.setattr(sys, "argv", ["sharing_cost.py", "--quick", "--out", str(tmp_path / "sharing_cost.json")])
    sharing_cost.main()
    result = json.loads((tmp_path / "sharing_cost.json").read_text(encoding="utf-8"))
    assert set(result) >= KEYS
    steps = [row for row in result["rows"] if row["kind"] == "step"]
    ours = {row["method"]: row for row in steps if (row["implementation"], row["way"]) == ("polytask", "default")}
    refused = {row["scheme"] for row in result["refused"] if row["way"] == "default"}
    assert set(ours) | refused == set(SHARINGS)
    assert set(ours) & refused == set()
    assert all(row["sentence"] for row in result["refused"])
    assert ours["hard"]["times_hard"] == ours["hard"]["parameters_times_hard"] == 1.0
    trunk = 64 * 256 + 256 + 256 * 256 + 256
    assert (ours["hard"]["parameters"], ours["hard"]["parameters_of_one_task"]) == (trunk + 2 * 257, trunk + 257)
    assert ours["independent"]["parameters"] == 2 * ours["independent"]["parameters_of_one_task"] == 2 * (trunk + 257)
    assert set(result["missing"]) == {"libmtl", "torch-rechub"} - set(result["versions"])
    for row in steps:
        if row["method"] == "hard":
            assert row["parameters"] == ours["hard"]["parameters"], row["implementation"]
    (experts,) = {row["experts"] for row in result["rows"] if row["kind"] == "experts"}
    assert experts == 4
    text = script("write_results").section("sharing_cost", result)
    assert all(f"| {name} |" in text for name in SHARINGS)


@pytest.mark.parametrize("model", ["mlp", "mlp_bn", "mlp_bn32", "cnn", "pyramid", "pyramid64"])
def test_peers_have_the_encoder_that_ours_is(script, model) -> None:
    stands, peers = script("sharing_stands"), script("sharing_peers")
    setup = stands.Setup(model, 2, 4)
    encoder, plain = setup.encoder(setup.spec).eval(), peers.make_encoder(model).eval()
    values = [value for name, value in encoder.state_dict().items()]
    plain.load_state_dict(dict(zip(plain.state_dict(), values, strict=True)))
    x = stands.batches_of(setup)[0][0]
    assert torch.equal(encoder(setup.inputs(x))[-1].values, plain(x))


def test_serving_a_task_takes_what_shows_in_its_output(script) -> None:
    stands = script("sharing_stands")

    class Parts(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read, self.times_zero, self.detached, self.unread, self.checked, self.kept = (
                torch.nn.Parameter(torch.ones(size)) for size in (1, 10, 100, 1000, 10000, 100000)
            )

        def train(self, mode: bool = True) -> "Parts":
            self.sum = self.kept.detach().sum()
            return super().train(mode)

        def forward(self) -> torch.Tensor:
            if self.checked.isnan().any():
                raise ValueError("not a number")
            return self.read + 0 * self.times_zero.sum() + self.detached.detach().sum() + self.sum

    parts = Parts()
    assert stands.parameters_of_one_task(parts, parts) == 110111
    assert parts.training
    assert parts().item() == 1 + 100 + 100000
    assert all(p.isfinite().all() for p in parts.parameters())


def test_settings_of_the_benchmark_are_those_of_the_schemes(script) -> None:
    from polytask.sharing import SHARINGS

    sharing_cost = script("sharing_cost")
    for setup in sharing_cost.SETUPS:
        for entry in sharing_cost.entries_of(setup):
            if entry.implementation == "polytask":
                SHARINGS[entry.method].with_(**entry.make.keywords["settings"])
    for name in sharing_cost.ALIKE:
        if name in SHARINGS:
            SHARINGS[name].with_(**sharing_cost.ALIKE[name])


def test_what_is_shown_of_a_scheme_is_at_one_size(script) -> None:
    sharing_cost = script("sharing_cost")
    at = {"kind": "step", "way": "default", "tasks": 8, "batch": 256, "parameters_times_hard": 2.0}
    rows = [
        {**at, "method": "hard", "model": "mlp", "times_hard": 1.0},
        {**at, "method": "hard", "model": "mlp_bn", "times_hard": 9.0},
        {**at, "method": "task_norm", "model": "mlp_bn", "times_hard": 1.5},
        {**at, "method": "soft", "model": "cnn", "times_hard": 9.0},
        {**at, "method": "soft", "model": "mlp", "tasks": 2, "times_hard": 9.0},
        {**at, "method": "soft", "model": "mlp", "way": "alike", "times_hard": 9.0},
        {"kind": "experts", "times_loop": 0.5},
    ]
    found = sharing_cost.costs_of(rows)
    assert found["times_hard"] == {"hard": 1.0, "task_norm": 1.5}
    assert (found["model"], found["elsewhere"]) == ("mlp", {"task_norm": "mlp_bn"})


def test_a_scheme_stands_beside_the_faster_peer(script) -> None:
    sharing_cost = script("sharing_cost")

    def row(implementation, method, way, tasks, milliseconds):
        return {
            "kind": "step", "implementation": implementation, "method": method, "way": way, "model": "mlp",
            "tasks": tasks, "milliseconds": milliseconds,
        }  # fmt: skip

    rows = [
        row("polytask", "mmoe", "default", 2, 99.0),
        row("polytask", "mmoe", "alike", 2, 6.0),
        row("libmtl", "mmoe", "plain", 2, 10.0),
        row("torch-rechub", "mmoe", "plain", 2, 8.0),
        row("polytask", "mmoe", "alike", 4, 9.0),
        row("libmtl", "mmoe", "plain", 4, 10.0),
        row("polytask", "hard", "default", 2, 4.0),
        row("libmtl", "hard", "plain", 2, 5.0),
        row("polytask", "ple", "alike", 2, 5.0),
        {"kind": "experts", "device": "cpu", "layers": 1, "experts": 4, "width": 8, "batch": 2, "times_loop": 1.2},
        {"kind": "experts", "device": "cpu", "layers": 2, "experts": 4, "width": 8, "batch": 2, "times_loop": 9.0},
        {"kind": "experts", "device": "cuda", "layers": 1, "experts": 4, "width": 8, "batch": 2, "times_loop": 0.5},
    ]
    found = {
        target["name"]: (target["value"], target["target"], target["met"]) for target in sharing_cost.targets_of(rows)
    }
    size = "4 of width 8, 2 rows"
    assert found == {
        "mlp: hard, times the faster peer's step (dearest: 2 tasks, beside libmtl)": (0.8, 1.0, True),
        "mlp: mmoe, times the faster peer's step (dearest: 4 tasks, beside libmtl)": (0.9, 0.8, False),
        f"experts of one layer on cpu, times the loop (dearest: {size})": (1.2, 1.0, False),
        f"experts of one layer on cuda, times the loop (dearest: {size})": (0.5, 0.6, True),
    }


def test_related_tasks_have_the_cosine_that_is_asked(script) -> None:
    related = script("related_tasks")
    source = related.Source(related.Setting(name="straight", sinusoids=0, rows=None, steps=1), range(3))
    targets = source.draw(20_000).targets  # without sinusoids a target is w·x, so that cosines are correlations
    for k, cosine in enumerate(related.COSINES):
        for seed in range(3):
            assert torch.corrcoef(targets[seed, k].T)[0, 1].item() == pytest.approx(cosine, abs=0.03)
    spread = related.Source(related.Setting(name="curved", sinusoids=10, rows=None, steps=1), range(3)).draw(20_000)
    assert torch.allclose(spread.targets.mean(dim=2), torch.zeros(3, 4, 2), atol=0.05)
    assert torch.allclose(spread.targets.std(dim=2), torch.ones(3, 4, 2), atol=0.05)


@pytest.mark.parametrize("scheme", ["independent", "hard"])
def test_nets_side_by_side_learn_as_each_alone_under_adam(script, scheme) -> None:
    related = script("related_tasks")
    seeds, rates = range(2), torch.tensor([[0.01, 0.001]]).expand(len(related.COSINES), -1)
    nets = related.Nets(scheme, seeds, rates)
    batches = [related.Source(related.Setting(name="x", sinusoids=2, rows=None, steps=1), seeds).draw(16)] * 3
    model = related.make_model(scheme, related.units_of(scheme), seed=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    for batch in batches:
        nets.step(batch)
        outputs = model({related.NUMBERS: batch.inputs[1]})
        errors = [(outputs[task] - batch.targets[1, 2, :, k]) ** 2 for k, task in enumerate(related.TASKS)]
        optimizer.zero_grad()
        sum(error.mean() for error in errors).backward()
        optimizer.step()
    place = (1 * len(related.COSINES) + 2) * 2 + 1  # the second seed, third cosine and second rate
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(nets.parameters[name][place], parameter, atol=1e-5, rtol=1e-4)


def test_slopes_and_their_differences_are_tested_over_seeds(script) -> None:
    study = script("task_relatedness")
    cosines, noise = np.array(study.COSINES), np.random.default_rng(0).normal(0, 0.01, (20, 4))
    errors = {"independent": 0.5 + noise, "hard": 0.5 - 0.2 * cosines + noise}
    found = {(test["what"], test["scheme"]): test for test in study.tests(errors)}
    assert found["slope", "hard"]["value"] == pytest.approx(found["slope", "independent"]["value"] - 0.2)
    assert found["slope", "hard"]["adjusted_p"] < 1e-6
    assert found["slope", "independent"]["adjusted_p"] > 0.05
    # The same noise on both: paired by seed, the difference is exact.
    assert found["slope of hard minus its slope", "independent"]["interval"] == pytest.approx([-0.2, -0.2])


def test_task_relatedness_runs_and_draws(script, monkeypatch, tmp_path) -> None:
    study = script("task_relatedness")
    out = tmp_path / "task_relatedness.json"
    arguments = ["--seeds", "2", "--steps", "4", "--schemes", "hard", "independent", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["task_relatedness.py", *arguments])
    study.main()
    result = json.loads(out.read_text(encoding="utf-8"))
    assert set(result) >= KEYS
    assert {row["scheme"] for row in result["rows"]} == {"hard", "independent"}
    assert len(result["rows"]) == 2 * len(study.SETTINGS) * len(study.COSINES)
    assert study.figure(result["rows"]).startswith("<svg")


def small_material(findings_data, num_tasks: int) -> object:
    generator = np.random.default_rng(0)
    table = pd.DataFrame({name: generator.normal(size=240) for name in ("a", "b")})
    for k in range(num_tasks):
        table[f"task{k}"] = (table["a"] + k * table["b"] + generator.normal(size=240) > 0).astype(int)
    table["kind"] = np.where(table["a"] > 0.5, "high", np.where(table["b"] > 0, "middle", "low"))
    tasks = [pt.Classification(f"task{k}") for k in range(num_tasks)]
    return findings_data.Material(
        table=table.assign(split=["train"] * 120 + ["valid"] * 60 + ["test"] * 60),
        tasks=[*tasks, pt.Classification("kind")],
        settings={"encoder": {"mlp": {"widths": [8, 4]}}},
    )


def test_findings_compare_every_scheme_with_hard_on_the_studys_own_test_rows(script, monkeypatch, tmp_path) -> None:
    findings, data = script("sharing_findings"), script("findings_data")
    material = small_material(data, 2)
    question = findings.Question(read=lambda folder, kept: material, kept={}, settings={"epochs": 2})
    monkeypatch.setattr(findings, "QUESTIONS", {"small": question})
    out = tmp_path / "out.json"
    arguments = ["--data", str(tmp_path), "--sets", "small", "--schemes", "independent", "--seeds", "3", "--jobs", "0"]
    arguments += ["--folder", str(tmp_path / "runs"), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["sharing_findings.py", *arguments])
    findings.main()
    result = json.loads(out.read_text(encoding="utf-8"))
    assert set(result) >= KEYS
    hard, independent = result["rows"]
    assert (hard["scheme"], independent["scheme"]) == ("hard", "independent")
    # Made anew from the rows' predictions, means and differences are those of the study.
    assert independent["difference"] == pytest.approx(independent["skill"] - hard["skill"], abs=1e-6)
    opened = findings.Opened(pt.studies.Study(tmp_path / "runs" / "small"), material)
    for task in opened.tasks:
        assert opened.row_values("independent", task, [0, 1, 2]).mean() == pytest.approx(
            independent["tasks"][task], abs=1e-6
        )
    changed = out.stat().st_mtime_ns
    findings.main()  # all is there: nothing is trained again, and the answer is the same
    assert json.loads(out.read_text(encoding="utf-8"))["rows"] == result["rows"]
    assert out.stat().st_mtime_ns != changed


def test_every_scheme_is_in_the_findings_or_left_out_with_a_reason(script) -> None:
    findings = script("sharing_findings")
    named = {name for sharing in findings.SCHEMES.values() for name in sharing} | {findings.TREE, *findings.LEFT_OUT}
    assert set(SHARINGS) <= named


def test_rows_are_sampled_alike_by_labels_of_all_tasks(script) -> None:
    data = script("findings_data")
    table = pd.DataFrame({"x": range(1000), "y": [k % 10 == 0 for k in range(1000)]})
    table["split"] = ["train"] * 800 + ["test"] * 200
    found = data.sampled(table, ["y"], {"train": 400})
    assert found["split"].value_counts().to_dict() == {"train": 400, "test": 200}
    assert found.loc[found["split"] == "train", "y"].sum() == 40
    assert found["x"].is_monotonic_increasing
    pd.testing.assert_frame_equal(found, data.sampled(table, ["y"], {"train": 400}))


def test_pictures_of_a_pair_lie_over_each_other(script) -> None:
    overlaid = script("findings_data").overlaid
    bright, dark = np.full((1, 28, 28), 200, dtype=np.uint8), np.zeros((1, 28, 28), dtype=np.uint8)
    first, second = overlaid(bright, dark)[0], overlaid(dark, bright)[0]
    assert (first[2, 2], first[-2, -2]) == (200, 0)
    assert (second[2, 2], second[-2, -2]) == (0, 200)
    assert (overlaid(bright, bright)[0][14] > 0).all()
