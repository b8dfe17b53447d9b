"""docs/howto/own_loop.md: its Python runs, one block after the other."""

import re
import runpy
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "howto" / "own_loop.md"


def test_the_python_runs(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    names: dict = {}
    for number, block in enumerate(blocks):
        script = tmp_path / f"block_{number}.py"
        script.write_text(block, encoding="utf-8")
        names |= runpy.run_path(str(script), init_globals=names)
    assert set(names["weights"]) == {"price", "rent"}
    assert int(names["balancer"].step) == 3 + 2 + 1 + 1
    assert set(names["own_weights"]) == {"price", "rent"}
    gates = names["sharing"].records()["gates"]
    assert gates.rows == ("price", "rent")
    assert [sum(row) for row in gates.values] == pytest.approx([1, 1])
    first, again, other = (next(names["make_encoder"](copy).parameters()) for copy in (1, 1, "task price"))
    assert first.equal(again)
    assert not first.equal(other)
