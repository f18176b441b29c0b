import warnings

import pytest

from fhe_estimators.utils import deprecated, renamed_parameter

VERSIONS = {"since": "0.4", "removed_in": "0.6"}


@deprecated(**VERSIONS, instead="`new_name`")
def old_name(x):
    """Doubles."""
    return 2 * x


@renamed_parameter("n_rows", "n_samples", **VERSIONS)
def sized(n_samples=1, *, scale=1):
    return n_samples * scale


def test_a_deprecated_function_works_and_warns_where_it_is_called():
    with pytest.warns(
        FutureWarning, match=r"old_name\(\) is deprecated since version 0.4 .* 0.6: use `new_name`"
    ) as log:
        assert old_name(3) == 6
    assert log[0].filename == __file__
    assert old_name.__doc__ == "Doubles."


def test_a_renamed_parameter_is_accepted_by_both_names():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sized(2) == sized(n_samples=2) == 2
    with pytest.warns(FutureWarning, match=r"'n_rows' of sized\(\) .* use 'n_samples'") as log:
        assert sized(n_rows=2, scale=3) == 6
    assert log[0].filename == __file__


def test_both_names_at_once_are_an_error():
    with pytest.raises(TypeError, match="pass 'n_samples' only"):
        sized(n_rows=1, n_samples=2)


def test_the_new_name_has_to_exist():
    with pytest.raises(TypeError, match="no parameter 'columns'"):
        renamed_parameter("n_columns", "columns", **VERSIONS)(sized)
