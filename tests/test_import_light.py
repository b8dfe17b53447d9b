"""`import polytask` and `polytask --help` are quick, because nothing heavy is loaded before it is needed."""

import subprocess
import sys
import time

import pytest

import polytask

#: Seconds of their own, each; none is needed to print a help text.
HEAVY = {"torch", "pandas", "numpy", "scipy", "sklearn", "pyarrow", "torchmetrics", "jaxtyping"}
HELP = ["-m", "polytask", "--help"]

MODULES_AFTER_IMPORT = "import sys, polytask; print(*sys.modules)"
MODULES_AFTER_HELP = """
import contextlib, io, runpy, sys
sys.argv = ["polytask", "--help"]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    runpy.run_module("polytask", run_name="__main__")
print(*sys.modules)
"""


def python(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", [MODULES_AFTER_IMPORT, MODULES_AFTER_HELP], ids=["import", "help"])
def test_nothing_heavy_is_loaded(program):
    loaded = {name.split(".")[0] for name in python("-c", program).split()}
    assert "polytask" in loaded
    assert not loaded & HEAVY


def test_help_names_every_command():
    text = python(*HELP)
    for command in ("fit", "predict", "evaluate", "init", "study", "report", "list", "demo"):
        assert command in text


def test_help_is_there_within_half_a_second():
    # The best of five is what it takes; the others waited for the machine. More only where all of them did.
    seconds = []
    while len(seconds) < 5 or (min(seconds) > 0.5 and len(seconds) < 20):
        start = time.perf_counter()
        python(*HELP)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) <= 0.5, seconds


@pytest.mark.parametrize("name", [name for name in polytask.__all__ if name != "__version__"])
def test_every_public_name_is_there(name):
    assert getattr(polytask, name) is not None
    assert name in dir(polytask)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'polytask' has no attribute 'fitt'"):
        _ = polytask.fitt
