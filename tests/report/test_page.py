"""The page itself: safe with any text, readable for all, small, and on its own."""

import json
import re
from collections import Counter
from itertools import pairwise

import pytest

from polytask.report import report
from polytask.report.markdown import plain
from polytask.report.page import colours

NASTY = ["<script>alert(1)</script>", "a</script><img src=x onerror=alert(2)>", "q\"uo'te & | `x` *", "ünï–\u2028code"]
LIMIT = 1_500_000


@pytest.fixture
def nasty(study_maker, tmp_path):
    study = study_maker(tmp_path / "study", tasks=NASTY, candidates=["<b>sum", "x</script>"], epochs=3)
    results = json.loads((study / "results.json").read_text())
    results["title"] = "</title><script>alert(3)</script>"
    results["verdict"]["headline"] = "<img src=x onerror=alert(4)>"
    results["lint"][0]["text"] = "column '</td><script>alert(5)</script>' leaks"
    (study / "results.json").write_text(json.dumps(results))
    (study / "config.yaml").write_text("title: </code></pre><script>alert(6)</script> ```\n")
    return report(study, tmp_path / "a.html")


def test_no_text_of_a_user_becomes_markup(nasty, read_page):
    page = read_page(nasty.read_text())
    scripts = [s for s in page.all("script") if s["attrs"].get("type") != "application/json"]
    assert len(scripts) == 2
    assert not page.all("img")
    assert not any("alert(" in script["text"] for script in scripts)
    assert not any(name.startswith("on") for element in page.elements for name in element["attrs"])
    assert page.all("h1")[0]["text"] == "</title><script>alert(3)</script>"
    for name in NASTY:
        assert any(cell["text"].startswith(name) for cell in page.all("th")), name


def test_data_within_the_page_are_json(nasty, read_page):
    blocks = [s["text"] for s in read_page(nasty.read_text()).all("script") if s["attrs"].get("type")]
    for block in blocks:
        json.loads(block)
        assert not re.search("[<>&\u2028]", block)
    names = {key for block in blocks for key in re.findall(r'"name":"((?:[^"\\]|\\.)*)"', block)}
    assert NASTY[0] in {json.loads(f'"{name}"') for name in names}


def test_markdown_reads_nothing_as_markup(nasty):
    text = nasty.with_suffix(".md").read_text()
    assert "<script>" not in re.sub(r"````yaml.*?````", "", text, flags=re.S)
    rows = [line for line in text.splitlines() if line.startswith("|") and "q\"uo'te" in line]
    assert rows
    heading = "| task | verdict | alone | shared | difference in skill | 95 % | adjusted |"
    assert heading in text
    first = next(row for row in rows if "practically equal" in row)
    assert len(re.findall(r"(?<!\\)\|", first)) == heading.count("|")


@pytest.mark.parametrize(
    ("text", "written"), [("a|b", r"a\|b"), ("<x>", "&lt;x>"), ("a\nb", "a b"), ("*b*", r"\*b\*"), ("&lt;", "&amp;lt;")]
)
def test_plain(text, written):
    assert plain(text) == written


def test_the_outline(study, tmp_path, read_page):
    page = read_page(report(study, tmp_path / "a.html").read_text())
    assert len(page.all("h1")) == 1
    assert page.all("html")[0]["attrs"]["lang"] == "en"
    levels = [int(e["tag"][1]) for e in page.elements if re.fullmatch("h[1-6]", e["tag"])]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = Counter(e["attrs"]["id"] for e in page.elements if "id" in e["attrs"])
    assert set(ids.values()) == {1}
    links = [a["attrs"]["href"] for a in page.all("a")]
    assert links[0] == "#main"
    assert all(link[1:] in ids for link in links)
    assert len(page.all("section")) == len(page.all("h2")) == len(links) - 1
    for section in page.all("section"):
        assert section["attrs"]["aria-labelledby"] in ids


def test_charts_and_tables_for_those_who_cannot_see_them(study, tmp_path, read_page):
    page = read_page(report(study, tmp_path / "a.html").read_text())
    charts = [div["attrs"] for div in page.all("div") if div["attrs"].get("class") == "chart"]
    assert len(charts) == len(page.all("figure")) >= 8
    assert all(chart["role"] == "img" and len(chart["aria-label"]) > 30 for chart in charts)
    assert "left: helps, +0.060 [+0.035, +0.085]" in charts[0]["aria-label"]
    tables = page.all("table")
    assert len(page.all("caption")) == len(tables) > 8
    assert all(caption["text"].strip() for caption in page.all("caption"))
    heads = [th for th in page.all("th") if "thead" in th["parents"]]
    assert all(th["attrs"]["scope"] == "col" for th in heads)
    buttons = page.all("button")
    assert len(buttons) == len(heads)
    assert all(b["attrs"] == {"type": "button"} and b["parents"][-1] == "th" and b["text"].strip() for b in buttons)
    regions = [div["attrs"] for div in page.all("div") if div["attrs"].get("class") == "scroll"]
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in regions)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme):
    found = colours(scheme)
    assert set(found) == set(colours("light"))
    for text in ("ink", "soft", "link", "helps", "hurts", "equal", "unsure", "none"):
        assert contrast(found[text], found["paper"]) >= 4.5, text
    for text, ground in (("ink", "tint"), ("soft", "tint"), ("ink", "warn"), ("ink", "region")):
        assert contrast(found[text], found[ground]) >= 4.5, (text, ground)
    for line in ("shared", "alone", "quiet", *(f"c{i}" for i in range(1, 13))):
        assert contrast(found[line], found["paper"]) >= 3, line


def test_contrast_is_measured_as_defined():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_nothing_is_loaded_from_elsewhere(study, tmp_path, read_page):
    page = read_page(report(study, tmp_path / "a.html").read_text())
    assert not page.all("link")
    assert not any(key in element["attrs"] for element in page.elements for key in ("src", "srcset", "action"))
    policy = next(m["attrs"]["content"] for m in page.all("meta") if "http-equiv" in m["attrs"])
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert "url(" not in page.all("style")[0]["text"]


@pytest.mark.parametrize(
    ("num_tasks", "num_candidates", "num_seeds", "epochs"), [(12, 6, 10, 100), (40, 4, 3, 60), (2, 2, 3, 3000)]
)
def test_a_large_study_stays_below_one_and_a_half_megabytes(
    study_maker, tmp_path, num_tasks, num_candidates, num_seeds, epochs
):
    study = study_maker(
        tmp_path / "study",
        tasks=[f"task with a long name {i}" for i in range(num_tasks)],
        candidates=[f"candidate {i}" for i in range(num_candidates)],
        num_seeds=num_seeds,
        epochs=epochs,
    )
    path = report(study, tmp_path / "a.html")
    assert path.stat().st_size <= LIMIT
    assert path.with_suffix(".md").stat().st_size <= LIMIT / 5


def charts_of(page):
    """The charts of a page: their Vega-Lite and their rows, in order."""
    blocks = [json.loads(s["text"]) for s in page.all("script") if s["attrs"].get("type")]
    found = []
    for block in blocks:
        if "series" in block:
            rows = [
                series["keys"] | dict(zip(series["columns"], values, strict=True))
                for series in block["series"]
                for values in zip(*series["columns"].values(), strict=True)
            ]
            found.append((block["spec"], rows))
    return found


def test_what_has_no_verdict_has_no_region_and_a_pale_point(study, tmp_path, read_page):
    spec, rows = charts_of(read_page(report(study, tmp_path / "a.html").read_text()))[0]
    assert {row["task"]: row["region_high"] for row in rows if row["region_high"] is None} == {"even": None}
    point = spec["layer"][-1]["encoding"]
    assert point["opacity"]["condition"] == {"test": "datum.word === 'no verdict'", "value": 0.5}


@pytest.mark.parametrize(("region", "shown"), [(0.02, 0.02), (None, 0.01)])
def test_the_region_of_the_mean_is_that_of_the_results(study, tmp_path, read_page, region, shown):
    results = json.loads((study / "results.json").read_text())
    results["verdict"]["mean"] |= {} if region is None else {"region": region}
    (study / "results.json").write_text(json.dumps(results))
    _, rows = charts_of(read_page(report(study, tmp_path / "a.html").read_text()))[0]
    assert rows[-1]["task"] == "mean of tasks"
    assert rows[-1]["region_high"] == shown


def test_weights_far_apart_get_a_logarithmic_axis(study, tmp_path, read_page):
    for file in (study / "runs" / "uncertainty").rglob("history.jsonl"):
        records = [json.loads(line) for line in file.read_text().splitlines()]
        for record in records:
            record["weights"]["left"] = 3.0 ** record["epoch"]
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
    page = read_page(report(study, tmp_path / "a.html").read_text())
    spec = next(json.dumps(spec) for spec, _ in charts_of(page) if "weight, logarithmic" in json.dumps(spec))
    assert '"type": "log"' in spec
    assert "The axis is logarithmic where weights are far apart." in page.words()


def test_curves_end_with_the_last_epoch_that_is_shown(study, tmp_path, read_page):
    for file in (study / "runs").rglob("seed-1/history.jsonl"):
        file.write_text("".join(line + "\n" for line in file.read_text().splitlines()[:9]))
    page = read_page(report(study, tmp_path / "a.html").read_text())
    shown = [(spec, rows) for spec, rows in charts_of(page) if rows and "epoch" in rows[0]]
    assert len(shown) > 5
    for spec, rows in shown:
        across = spec["layer"][-1]["encoding"]["x"]
        assert max(row["epoch"] for row in rows) == across["scale"]["domain"][1] == across["axis"]["values"][-1] == 9
    assert "A Run stops early" in page.words()
