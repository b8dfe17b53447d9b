"""What all tests share: checked shapes, one thread, fixed seeds, the folder of real data."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from beartype import beartype
from hypothesis import settings
from jaxtyping import install_import_hook

#: Packages whose shapes (`Float[Tensor, "tasks params"]`) are checked at every call in the tests.
CHECKED = ["polytask.gradients", "polytask.balance", "polytask.sharing", "polytask.tasks"]


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Beartype, but for functions that name `Self`, which it cannot check outside a class that it decorates."""
    names_self = any("Self" in str(kind) for kind in getattr(function, "__annotations__", {}).values())
    return function if names_self else beartype(function)


# Before any test module imports them: what is imported already stays unchecked.
install_import_hook(CHECKED, f"{__name__}.checked")

# One thread here and in the processes that tests start: sums in a fixed order, and no fight for the cores.
torch.set_num_threads(1)
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# The same examples in every run; time limits fail on busy machines.
settings.register_profile("polytask", derandomize=True, deadline=None)
settings.load_profile("polytask")


@pytest.fixture(autouse=True)
def _fixed_seeds() -> None:
    """Every test starts from the same global random states, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002, libraries under test may draw from it
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data: $POLYTASK_DATA, or `shared/data` beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("POLYTASK_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set POLYTASK_DATA to their folder")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `gpu` are skipped where there is no accelerator."""
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs an accelerator"))


@pytest.fixture
def assert_paths_agree() -> Callable[..., None]:
    """Holds a way of differentiating against the loop: J, G, Jᵀw, own gradients, who is reached."""
    from polytask.gradients.by_layers import by_layers
    from polytask.gradients.loop import by_loop

    def check(losses: Callable[[], Any], shared: list[Any], tolerance: float | None = None, **settings: Any) -> None:
        exact = by_loop(losses(), shared, retain_graph=False, with_own=True)
        found = by_layers(losses(), shared, retain_graph=False, with_own=True, **{"chunk": None, **settings})
        rows, gramian = exact.jacobian(), exact.gramian()
        allowed = tolerance or (1e-5 if rows.dtype == torch.float32 else 1e-10)
        assert found.reached == exact.reached
        assert (found.gramian() - gramian).norm() <= allowed * gramian.trace(), settings
        assert (found.jacobian() - rows).norm() <= allowed * rows.norm(), settings
        weights = torch.linspace(-1, 2, len(rows), dtype=torch.float64)
        for piece, expected in zip(found.combined(weights), exact.combined(weights), strict=True):
            assert (piece is None) == (expected is None)
            if piece is not None and expected is not None:
                assert piece.shape == expected.shape
                assert (piece - expected).norm() <= allowed * max(float(rows.norm()), 1e-30), settings
        own, others = ({id(p): g for p, g in x.own} for x in (found, exact))
        assert set(own) == set(others)
        for key, gradient in own.items():
            torch.testing.assert_close(gradient, others[key])

    return check
