"""Who shares what: the diagram of the model, and the records of the sharing scheme as pictures, curves and numbers."""

import json
import re
import shutil
from itertools import combinations, pairwise

import pytest

from polytask.report import report
from polytask.report.diagram import BOX, MOST_BOXES, columns_of, diagram_of, readable, shortened
from polytask.report.sharing import kept_records, sharing_section
from polytask.report.source import History
from polytask.report.tables_drawn import heatmap_of, table_of
from polytask.runs import ModelGraph, Node
from polytask.sharing import Record

TASKS = ("left", "right", "sum")
GATES = Record("shares", TASKS, ["expert 0", "expert 1"], [[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]])
STITCH = Record("weights", TASKS, TASKS, [[0.9, -0.1, 0.0], [0.2, 0.8, 0.0], [0.0, 0.0, 1.0]])
TREE = Record("groups", ["stage 0", "stage 1"], TASKS, [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
ENTROPY = Record("amounts", ["entropy"], TASKS, [[0.1, 0.2, 0.3]])


def line(epoch, records, improved=("mean",)):
    written = {title: record.to_json() for title, record in records.items()}
    return {"epoch": epoch, "improved": list(improved), **({"sharing": written} if written else {})}


def shifted(record, by):
    return Record(record.kind, record.rows, record.columns, [[v + by for v in row] for row in record.values])


def history(arm="mmoe", epochs=3, kept=None, **records):
    """Entropies grow by 1 an epoch; the weights of epoch `kept` are kept."""
    lines = []
    for epoch in range(1, epochs + 1):
        found = {k: shifted(r, epoch) if r is ENTROPY else r for k, r in records.items()}
        lines.append(line(epoch, found, ("mean",) if kept in (None, epoch) else ("left",)))
    return History(arm, None, tuple(lines))


def flat(blocks):
    for block in blocks:
        yield block
        yield from flat(getattr(block, "blocks", ()))
        yield from getattr(block, "charts", ())


def named(section, kind):
    return [block for block in flat(section.blocks) if type(block).__name__ == kind]


def words(section):
    return " ".join(block.text for block in named(section, "Paragraph"))


# Records.


def test_one_record_of_each_kind():
    section = sharing_section(None, "mmoe", [], [history(gates=GATES, stitch=STITCH, tree=TREE, entropy=ENTROPY)])
    charts = {chart.title: chart for chart in named(section, "Chart")}
    assert list(charts) == ["gates", "stitch", "tree", "entropy"]
    assert [table.caption for table in named(section, "Table")] == ["gates", "stitch", "tree", "entropy"]
    assert "a row sums to 1" in words(section)
    assert "What mmoe has learnt about who shares what, after epoch 3, whose weights were kept." in words(section)
    assert charts["gates"].description == (
        "Table of shares, gates: 3 rows and 2 columns. Lowest: sum, expert 1 0.00; highest: sum, expert 0 1.00."
    )
    assert "how many groups each has: stage 0 1, stage 1 2." in charts["tree"].description


def test_a_row_over_epochs_is_a_curve():
    section = sharing_section(None, "mmoe", [], [history(entropy=ENTROPY)])
    (chart,) = named(section, "Chart")
    assert [entry["columns"]["epoch"] for entry in chart.series] == [[1, 2, 3]] * 3
    assert chart.series[1]["columns"]["mean"] == pytest.approx([1.2, 2.2, 3.2])
    gallery = next(block for block in named(section, "Gallery") if chart in block.charts)
    assert [name for name, _, _ in gallery.legend] == list(TASKS)
    column = Record("amounts", TASKS, ["load"], [[1.0], [2.0], [3.0]])
    (chart,) = named(sharing_section(None, "mmoe", [], [history(load=column)]), "Chart")
    assert [entry["keys"]["name"] for entry in chart.series] == list(TASKS)


@pytest.mark.parametrize(
    ("record", "epochs"),
    [(ENTROPY, 1), (Record("groups", ["a"], TASKS, [[0.0, 1.0, 2.0]]), 3), (GATES, 3)],
    ids=["one epoch", "groups", "several rows"],
)
def test_what_is_no_curve_is_a_table(record, epochs):
    (chart,) = named(sharing_section(None, "mmoe", [], [history(epochs=epochs, it=record)]), "Chart")
    assert set(chart.series[0]["columns"]) >= {"row", "column", "strength"}


def test_cells_say_what_their_numbers_are():
    def cells(record):
        columns = heatmap_of("x", record.to_json()).series[0]["columns"]
        return list(zip(*(columns[key] for key in ("row", "column", "colour", "strength", "text")), strict=True))

    stitch = cells(STITCH)
    assert stitch[1] == ("left", "right", "var(--c2)", pytest.approx(0.05 + 0.55 * 0.1), "−0.10")
    assert stitch[-1] == ("sum", "sum", "var(--c1)", pytest.approx(0.6), "+1.00")
    assert [cell[3] for cell in cells(GATES)] == pytest.approx(
        [0.05 + 0.55 * v for v in (0.25, 0.75, 0.5, 0.5, 1, 0)], abs=1e-3
    )
    assert [cell[2] for cell in cells(TREE)] == ["var(--c1)"] * 5 + ["var(--c2)"]
    assert [cell[4] for cell in cells(TREE)] == ["0"] * 5 + ["1"]
    assert [cell[3] for cell in cells(Record("amounts", ["a"], ["b", "c"], [[250.0, 0.0]]))] == [0.6, 0.05]


def test_numbers_that_are_missing_are_not_drawn():
    record = {**ENTROPY.to_json(), "values": [[None, 0.5, None]]}
    columns = heatmap_of("x", record).series[0]["columns"]
    assert columns["text"] == ["–", "0.50", "–"]
    assert columns["strength"][0] == 0
    assert [cell.text for cell in table_of("x", record).rows[0]] == ["entropy", "–", "0.50", "–"]
    empty = {**record, "values": [[None] * 3]}
    assert heatmap_of("x", empty).description.endswith("without a number.")


def test_large_tables_are_cut_with_a_sentence():
    record = Record("shares", [f"t{i}" for i in range(64)], [f"e{i}" for i in range(30)], [[1 / 30] * 30] * 64)
    chart = heatmap_of("x", record.to_json())
    assert chart.caption == "Drawn are the first 24 of 64 rows and the first 24 of 30 columns."
    assert len(chart.series[0]["columns"]["row"]) == 24 * 24
    assert "64 rows and 30 columns" in chart.description


def test_more_tables_than_fit_are_named():
    large = Record("weights", [str(i) for i in range(24)], [str(i) for i in range(24)], [[0.0] * 24] * 24)
    section = sharing_section(None, "mmoe", ["ple"], [history(**{f"t{i}": large for i in range(6)}), history("ple")])
    assert len(named(section, "Chart")) == 4
    assert "2 tables more of mmoe are in its history.jsonl." in words(section)


def test_the_epoch_whose_weights_were_kept():
    epoch, records = kept_records(history(epochs=5, kept=2, entropy=ENTROPY))
    assert epoch == 2
    assert records["entropy"]["values"] == [pytest.approx([2.1, 2.2, 2.3])]
    assert kept_records(History("x", None, ({"epoch": 1},))) == (1, {})
    assert kept_records(History("x", None, ())) == (0, {})


def test_the_first_run_speaks_for_all():
    """Expert 0 of one Run has nothing in common with expert 0 of another: no mean would mean anything."""
    other = Record("shares", TASKS, GATES.columns, [[0.5, 0.5]] * 3)
    section = sharing_section(None, "mmoe", [], [history(gates=GATES), history(gates=other)])
    (chart,) = named(section, "Chart")
    assert chart.series[0]["columns"]["text"][:2] == ["0.25", "0.75"]
    assert "the first Run of mmoe (in another Run the same part may have learnt something else" in words(section)


def test_other_candidates_are_folded():
    section = sharing_section(None, "hard", ["mmoe", "sum"], [history("hard"), history(gates=GATES), history("sum")])
    assert [block.summary for block in section.blocks] == ["What mmoe has learnt about who shares what"]


def test_where_there_is_nothing():
    assert "records nothing" in words(sharing_section(None, "hard", [], [history("hard")]))
    assert "folders of the Runs are not here" in words(sharing_section(None, "hard", [], []))


def test_on_the_page_in_markdown_and_in_a_studys_folder(study, tmp_path, read_page):
    for file in study.rglob("history.jsonl"):
        if "twins" not in file.parts:
            lines = [json.loads(text) for text in file.read_text().splitlines()]
            lines = [{**one, **line(one["epoch"], {"gates <b>": GATES, "entropy": ENTROPY})} for one in lines]
            file.write_text("".join(json.dumps(one) + "\n" for one in lines))
    path = report(study, tmp_path / "a.html")
    page, text = read_page(path.read_text()), path.with_suffix(".md").read_text()
    assert "gates <b>" in [heading["text"] for heading in page.all("h3")]
    assert "What sum has learnt about who shares what" in page.words()
    assert "## Who shares what" in text
    assert "| left | 0.25 | 0.75 |" in text
    written, own = (json.loads((folder / "results.json").read_text()) for folder in (path.parent, study))
    assert written == own


# The diagram.


def graph_of_hard(num_tasks, num_stages=3):
    tasks = tuple(f"t{i}" for i in range(num_tasks))
    trunk = [Node(f"sharing.trunk.{s}", "stage", s, 1000, 4000, (8,), 1, tasks) for s in range(num_stages)]
    heads = [Node(f"heads.task_{t}", "head", None, 9, 36, (), 1, (t,)) for t in tasks]
    ends = [Node(f"tasks.{t}", "task", None, 0, 0, (), 0, (t,)) for t in tasks]
    nodes = (Node("inputs.<numbers>", "input", shape=(3,), tasks=tasks), *trunk, *heads, *ends)
    chain = [nodes[0].name, *(n.name for n in trunk)]
    edges = [*pairwise(chain), *((chain[-1], h.name) for h in heads)]
    edges += [(h.name, e.name) for h, e in zip(heads, ends, strict=True)]
    return ModelGraph(tasks, nodes, (*edges, (chain[1], heads[0].name)))


def graph_of_experts(num_tasks, num_experts, num_levels):
    """Every task's gate and expert on each level, and shared ones."""
    tasks = tuple(f"t{i}" for i in range(num_tasks))
    nodes, edges, before = [Node("inputs.x", "input", tasks=tasks)], [], ["inputs.x"]
    for level in range(num_levels):
        shared = [
            Node(f"sharing.levels.{level}.{e}", "stage", level, 10, 40, (4,), 1, tasks) for e in range(num_experts)
        ]
        owned = [Node(f"sharing.own.{level}.task_{t}", "stage", level, 10, 40, (4,), 1, (t,)) for t in tasks]
        nodes += [*shared, *owned]
        edges += [(b, n.name) for b in before for n in (*shared, *owned)]
        before = [n.name for n in (*shared, *owned)]
    for t in tasks:
        nodes.append(Node(f"heads.task_{t}", "head", None, 5, 20, (), 1, (t,)))
        edges += [(b, nodes[-1].name) for b in before]
    return ModelGraph(tasks, tuple(nodes), tuple(edges))


GRAPHS = {
    "hard": graph_of_hard(3),
    "one task": graph_of_hard(1),
    "many tasks": graph_of_hard(64),
    "experts": graph_of_experts(4, 3, 2),
    "many experts": graph_of_experts(64, 3, 3),
    "very many experts": graph_of_experts(3, 64, 2),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_boxes_stand_apart_and_lines_go_from_one_to_the_other(name):
    drawn = diagram_of(GRAPHS[name])
    places = [(box.x, box.y) for box in drawn.boxes]
    for (x, y), (u, v) in combinations(places, 2):
        assert abs(x - u) >= BOX[0] or abs(y - v) >= BOX[1]
    for x, y in places:
        assert 0 <= x <= drawn.size[0] - BOX[0]
        assert 0 <= y <= drawn.size[1] - BOX[1]
    lefts, rights = ({(x + side, y + BOX[1] // 2) for x, y in places} for side in (0, BOX[0]))
    assert drawn.lines
    for path, _ in drawn.lines:
        numbers = [int(number) for number in re.findall(r"-?\d+", path)]
        assert (numbers[0], numbers[1]) in rights
        assert (numbers[-2], numbers[-1]) in lefts
        assert max(numbers) <= max(drawn.size)
        assert min(numbers) >= 0
    assert drawn.size[1] <= (MOST_BOXES + 12) * (BOX[1] + 12)
    assert all(len(box.label) <= 14 for box in drawn.boxes)


@pytest.mark.parametrize("name", GRAPHS)
def test_everything_is_drawn_or_it_is_said(name):
    graph = GRAPHS[name]
    drawn = diagram_of(graph)
    shown, said = readable(graph)
    wanted = [node for node in graph.nodes if node.kind != "task"]
    assert (len(drawn.boxes) == len(wanted)) == (said == "")
    assert drawn.caption.endswith(f"own.{said}")
    assert len(drawn.legend) == len(shown.tasks) <= 12
    assert drawn.source == shown.to_mermaid()


def test_what_is_said_of_what_is_left_out():
    assert readable(GRAPHS["many tasks"])[1] == " Drawn are the first 12 of 64 tasks, and what they reach."
    assert readable(GRAPHS["many experts"])[1] == " Drawn are the first 12 of 64 tasks, and what they reach."
    assert "parts more than can be drawn above each other are left out." in readable(GRAPHS["very many experts"])[1]


def test_shared_is_grey_with_dots_and_owned_is_a_colour():
    drawn = diagram_of(GRAPHS["hard"])
    boxes = {box.label: box for box in drawn.boxes}
    assert boxes["trunk.1"].colour == ""
    assert boxes["trunk.1"].dots == ("var(--c1)", "var(--c2)", "var(--c3)")
    assert boxes["t1"].colour == "var(--c2)"
    assert boxes["t1"].dots == ()
    assert boxes["t1"].facts == "head 9"
    assert boxes["trunk.0"].facts == "1,000 → 8"
    assert boxes["numbers"].is_round
    assert "trunk.1: stage 1, 1,000 parameters, reached by t0, t1, t2" in [box.title for box in drawn.boxes]
    colours = {path.split("C")[-1].split()[-1]: colour for path, colour in drawn.lines}
    assert colours[str(boxes["t2"].y + BOX[1] // 2)] == "var(--c3)"


def test_parts_that_read_nothing_stand_before_their_reader():
    parts = ("input", "inputs.x"), ("mixer", "sharing.gate"), ("mixer", "sharing.critic"), ("stage", "sharing.a")
    nodes = {name: Node(name, kind) for kind, name in (*parts, ("stage", "sharing.b"), ("head", "heads.task_t"))}
    edges = [("inputs.x", "sharing.a"), ("sharing.a", "sharing.b"), ("sharing.gate", "sharing.b")]
    found = columns_of(nodes, [*edges, ("sharing.b", "heads.task_t")])
    assert found == {
        "inputs.x": 0, "sharing.gate": 1, "sharing.critic": 0, "sharing.a": 1, "sharing.b": 2, "heads.task_t": 3
    }  # fmt: skip


def test_a_way_in_a_circle_is_drawn_forward():
    nodes = (
        Node("inputs.x", "input"),
        Node("sharing.a", "stage"),
        Node("sharing.b", "stage"),
        Node("heads.task_t", "head"),
    )
    edges = (
        ("inputs.x", "sharing.a"),
        ("sharing.a", "sharing.b"),
        ("sharing.b", "sharing.a"),
        ("sharing.b", "heads.task_t"),
    )
    assert len(diagram_of(ModelGraph(("t",), nodes, edges)).lines) == 3


def test_what_all_names_begin_with_is_not_repeated():
    nodes = [Node(f"sharing.chain.{part}.{n}", "stage", tasks=("t",)) for part in ("trunk", "own") for n in range(2)]
    drawn = diagram_of(ModelGraph(("t",), (*nodes, Node("heads.task_t", "head", tasks=("t",))), ()))
    assert [box.label for box in drawn.boxes] == ["trunk.0", "trunk.1", "own.0", "own.1", "t"]
    assert drawn.boxes[0].title.startswith("chain.trunk.0: stage")


def test_names_that_are_too_long_keep_their_ends():
    for length in range(30):
        text = "".join(chr(97 + i % 26) for i in range(length))
        found = shortened(text, 9)
        assert len(found) == min(length, 9)
        assert found[-4:] == text[-4:]


def test_a_run_is_drawn_with_its_parts_in_numbers(trained, tmp_path, read_page):
    path = report(trained, tmp_path / "run.html")
    page, text = read_page(path.read_text()), path.with_suffix(".md").read_text()
    (drawing,) = diagrams(page)
    graph = trained.graph()
    assert drawing["attrs"]["role"] == "img"
    assert f"{sum(n.parameters for n in graph.nodes):,} parameters" in drawing["attrs"]["aria-label"]
    for label in ("trunk.0", "price", "sold", "stars"):
        assert label in drawing["text"]
    assert f"```mermaid\n{graph.to_mermaid()}\n```" in text
    written = json.loads(path.with_name("results.json").read_text())
    assert written["graph"] == json.loads(json.dumps(graph.to_json()))
    assert written["sharing"] == {}
    parts = next(t["text"] for t in page.all("table") if t["text"].strip().startswith("Parts of the model"))
    assert all(f"{node.parameters:,}" in parts for node in graph.nodes if node.kind == "stage")


def diagrams(page):
    return [svg for svg in page.all("svg") if svg["attrs"].get("class") == "diagram"]


def test_a_study_draws_the_model_that_is_judged_where_it_can_be_built(trained, study, tmp_path, read_page):
    """It may have been made with methods that are in no catalogue here."""
    assert not diagrams(read_page(report(study, tmp_path / "a.html").read_text()))
    first = next((study / "runs").rglob("run.json")).parent
    for file in trained.path.rglob("*"):
        if file.is_file() and file.name != "history.jsonl":
            (first / file.relative_to(trained.path)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, first / file.relative_to(trained.path))
    (drawing,) = diagrams(read_page(report(study, tmp_path / "a.html").read_text()))
    assert "trunk.0" in drawing["text"]
    for file in ("model.json", "checksums.json"):
        (first / file).write_text((first / file).read_text().replace('"sharing": "hard"', '"sharing": "no_such"'))
    assert not diagrams(read_page(report(study, tmp_path / "a.html").read_text()))
