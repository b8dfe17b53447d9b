"""The page in Chromium: drawn without a word on the console, sortable, in light, dark and print."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from polytask.report import report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--enable-logging=stderr", "--v=0", "--virtual-time-budget=20000",
)  # fmt: skip


@pytest.fixture(scope="module")
def chromium():
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"there is no Chromium here (looked for {', '.join(NAMES)})")
    return found


def with_script(page: str, script: str) -> str:
    head, tail = page.rsplit("</body>", 1)
    return f"{head}<script>{script}</script></body>{tail}"


@pytest.fixture
def browse(chromium, tmp_path):
    """Opens a page with a script of the test's at its end: (the page as drawn, what the console said)."""

    def opened(page: Path, script: str = "", *flags: str) -> tuple[str, list[str]]:
        copy = tmp_path / "opened.html"
        copy.write_text(with_script(page.read_text(), script))
        command = [chromium, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, "--dump-dom", copy.as_uri()]
        found = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
        return found.stdout, [line for line in found.stderr.splitlines() if "CONSOLE" in line]

    return opened


def done(page):
    return re.search(r"<body[^>]*>", page)[0]


@pytest.mark.parametrize("flags", [(), ("--blink-settings=preferredColorScheme=0",)], ids=["light", "dark"])
def test_every_chart_is_drawn_and_the_console_is_silent(study, tmp_path, browse, flags):
    path = report(study, tmp_path / "a.html")
    page, console = browse(path, "", *flags)
    assert console == []
    assert "data-drawn" in done(page)
    assert page.count('class="marks"') == path.read_text().count('class="chart"') >= 8
    assert "practically equal</text>" in page


def test_names_of_any_kind(study_maker, tmp_path, browse):
    tasks = [
        "<script>document.title='hit'</script>",
        "a</script><img src=x onerror=alert(2)>",
        "q\"uo'te | &",
        "ü\u2028",
    ]
    study = study_maker(tmp_path / "study", tasks=tasks, candidates=["</script>", "b'\""], epochs=3)
    page, console = browse(report(study, tmp_path / "a.html"))
    assert console == []
    assert "data-drawn" in done(page)
    assert "<title>Multi-Digits</title>" in page


def test_a_run_is_drawn_too(trained, tmp_path, browse):
    page, console = browse(report(trained, tmp_path / "a.html"))
    assert console == []
    assert "data-drawn" in done(page)


def test_a_click_sorts_a_table(study, tmp_path, browse):
    script = """
      const table = [...document.querySelectorAll("table")].find((t) => t.caption.textContent === "All tasks together");
      const read = () => [...table.tBodies[0].rows].map((row) => row.cells[0].firstChild.textContent.trim()).join();
      const heading = (name) => [...table.querySelectorAll("thead th")].find((th) => th.textContent === name);
      const seen = [];
      for (const name of ["mean skill", "mean skill", "arm", "parameters"]) {
        heading(name).querySelector("button").click();
        seen.push(`${heading(name).getAttribute("aria-sort")}:${read()}`);
      }
      document.body.dataset.seen = seen.join(";") + ";" + table.querySelectorAll("[aria-sort]").length;
    """
    page, console = browse(report(study, tmp_path / "a.html"), script)
    assert console == []
    assert re.search('data-seen="([^"]*)"', page)[1].split(";") == [
        "descending:uncertainty (judged),sum,twins,trees",
        "ascending:trees,twins,sum,uncertainty (judged)",
        "ascending:sum,trees,twins,uncertainty (judged)",
        "descending:twins,sum,uncertainty (judged),trees",  # what has no number stands last
        "1",
    ]


@pytest.mark.parametrize("source", ["study", "trained"])
def test_narrow_screens_scroll_tables_and_diagrams_and_not_the_page(request, source, tmp_path, browse):
    path = report(request.getfixturevalue(source), tmp_path / "a.html")
    framed = tmp_path / "framed.html"
    # Chromium's windows are not narrower than 500 pixels; a frame is.
    frame = f'<iframe src="{path.as_uri()}" style="width:400px;height:900px;border:0"></iframe>'
    framed.write_text(f"<html><body>{frame}</body></html>")
    tell = "parent.postMessage(`${document.documentElement.scrollWidth}/${innerWidth}`, '*')"
    path.write_text(with_script(path.read_text(), f"setTimeout(() => {tell}, 4000)"))
    page, console = browse(framed, "addEventListener('message', (e) => { document.body.dataset.seen = e.data; });")
    assert console == []
    assert re.search('data-seen="([^"]*)"', page)[1] == "400/400"


def test_print_opens_everything(study, tmp_path, browse):
    script = """
      dispatchEvent(new Event("beforeprint"));
      const open = document.querySelectorAll("details:not([open])").length;
      dispatchEvent(new Event("afterprint"));
      document.body.dataset.seen = `${open}/${document.querySelectorAll("details[open]").length}`;
    """
    page, _ = browse(report(study, tmp_path / "a.html"), script)
    assert 'data-seen="0/0"' in page
