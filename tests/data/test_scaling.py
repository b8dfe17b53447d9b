"""Scaling: robust and standard, with constants, gaps and values far out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

from polytask.data.scaling import WAYS, Scale

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
@pytest.mark.parametrize("how", WAYS)
def test_constant_values_have_no_spread(values, how):
    assert Scale.fit(np.array(values), how).spread == 0


@pytest.mark.parametrize("how", WAYS)
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
    bounds = {"standard": np.inf, "robust": 3, "minmax": 1 + 1e-6, "quantile": 5.2}
    assert (np.abs(scaled) <= bounds[how]).all()


def test_minmax_is_scikit_learns():
    expected = MinMaxScaler().fit_transform(VALUES[:, None])[:, 0]
    scale = Scale.fit(VALUES, "minmax")
    np.testing.assert_allclose(scale(VALUES), expected, atol=1e-12)
    assert scale(np.array([VALUES.max() * 2]))[0] > 1


@pytest.mark.parametrize("values", [VALUES, np.round(VALUES), np.random.default_rng(1).normal(size=3000)], ids=len)
def test_quantile_is_scikit_learns(values):
    number = min(len(values), 1000)
    peer = QuantileTransformer(n_quantiles=number, output_distribution="normal", subsample=None)
    peer.fit(values[:, None])
    scale = Scale.fit(values, "quantile")
    assert len(scale.knots) == number
    asked = np.concatenate([values, np.linspace(values.min() - 1, values.max() + 1, 301)])
    np.testing.assert_allclose(scale(asked), peer.transform(asked[:, None])[:, 0], atol=1e-6)
    assert np.isfinite(scale(np.array([-1e300, 1e300]))).all()
