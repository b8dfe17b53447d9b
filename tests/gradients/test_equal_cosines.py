"""Equal cosines against the pseudoinverse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.gradients import equal_cosines


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 12), st.floats(0, 3))
def test_it_is_the_pseudoinverse_of_the_cosines(seed: int, tasks: int, params: int, spread: float) -> None:
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(tasks, params))
    scaled = rows * 10 ** generator.uniform(-spread, spread, (tasks, 1))
    found, norms = equal_cosines(scaled @ scaled.T)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = np.linalg.pinv(unit @ unit.T, rcond=1e-10, hermitian=True).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(norms, np.linalg.norm(scaled, axis=1))


@pytest.mark.parametrize("num_tasks", [2, 8, 32, 128])
def test_independent_gradients_make_equal_progress(num_tasks: int) -> None:
    rows = np.random.default_rng(0).normal(size=(num_tasks, 2 * num_tasks))
    found, norms = equal_cosines(rows @ rows.T)
    np.testing.assert_allclose(rows @ ((found / norms) @ rows) / norms, 1, atol=1e-9)


def test_opposite_gradients_have_no_such_direction() -> None:
    rows = np.array([[1.0, 2.0], [-3.0, -6.0]])
    assert equal_cosines(rows @ rows.T)[0].tolist() == [0, 0]
