"""Scaling: robust and standard, with constants, gaps and values far out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import RobustScaler, StandardScaler

from polytask.data.scaling import Scale

VALUES = np.random.default_rng(0).lognormal(size=500)


def test_standard_is_scikit_learns():
    expected = StandardScaler().fit_transform(VALUES[:, None])[:, 0]
    np.testing.assert_allclose(Scale.fit(VALUES, "standard")(VALUES), expected, rtol=1e-12)


def test_robust_is_scikit_learns_then_clipped_smoothly():
    scaled = RobustScaler().fit_transform(VALUES[:, None])[:, 0]
    expected = scaled / np.sqrt(1 + (scaled / 3) ** 2)
    np.testing.assert_allclose(Scale.fit(VALUES, "robust")(VALUES), expected, rtol=1e-12)


def test_where_quartiles_agree_half_the_range_is_the_spread():
    assert Scale.fit(np.array([0.0] * 98 + [4.0, 2.0]), "robust") == Scale(0.0, 2.0, clip=True)


@pytest.mark.parametrize("values", [[3.0, 3.0, np.nan], [np.nan, np.nan], []])
@pytest.mark.parametrize("how", ["robust", "standard"])
def test_constant_values_have_no_spread(values, how):
    assert Scale.fit(np.array(values), how).spread == 0


@pytest.mark.parametrize("how", ["robust", "standard"])
@given(values=st.lists(st.floats(-1e150, 1e150), min_size=2, max_size=20))
def test_scaled_values_are_finite_in_order_and_bounded(how, values):
    values = np.array(values)
    scale = Scale.fit(values, how)
    if scale.spread == 0:
        return
    scaled = scale(np.append(np.sort(values), np.nan)).astype(np.float32)
    assert np.isfinite(scaled).all()
    assert (np.diff(scaled[:-1]) >= 0).all()
    assert scaled[-1] == 0
    assert how == "standard" or (np.abs(scaled) <= 3).all()
