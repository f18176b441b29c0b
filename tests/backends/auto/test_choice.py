"""Which engine takes a request: one crossing point, found from what the engines predict."""

import numpy as np
import pytest

from fhe_estimators.backends.auto.choice import Choice, cheaper
from fhe_estimators.exceptions import ProtocolError

BOTH = Choice("bfv", "ckks", 17)


@pytest.mark.parametrize("crossing", [1, 2, 3, 17, 1000, 4097])
def test_the_crossing_point_is_found(crossing):
    choice = cheaper(lambda n: n, lambda n: crossing - 0.5)
    assert choice.crossing_rows == crossing
    assert [choice.engine_for(n) for n in (crossing - 1, crossing, 10**6)] == [
        "bfv" if crossing > 1 else "ckks",
        "ckks",
        "ckks",
    ]


def test_stairs_are_crossed_at_a_step():
    choice = cheaper(lambda n: -(-n // 32), lambda n: 5.5 * -(-n // 4096))
    assert choice.crossing_rows == 5 * 32 + 1


def test_an_engine_that_is_never_faster_takes_nothing():
    assert cheaper(lambda n: 2.0, lambda n: 1.0).engines == ("ckks",)
    few = cheaper(lambda n: n, lambda n: 2.0 * n)
    assert few.engines == ("bfv",) and few.crossing_rows is None
    assert few.rows("bfv") == [1, None] and few.rows("ckks") is None


def test_rows_of_each_engine():
    assert BOTH.rows("bfv") == [1, 16] and BOTH.rows("ckks") == [17, None]
    assert BOTH.engine_for(0) == BOTH.engine_for(16) == "bfv"
    assert BOTH.engine_for(17, {"bfv"}) == "bfv" and BOTH.engine_for(1, {"ckks"}) == "ckks"


@pytest.mark.parametrize(
    "values",
    [None, {}, [17], {"few": "bfv", "many": "tfhe", "crossing_rows": 3}]
    + [{**BOTH.to_json(), "crossing_rows": rows} for rows in (0, -1, 2.5, True, "3")]
    + [{**BOTH.to_json(), "more": 1}],
)
def test_malformed_choices_are_refused(values):
    with pytest.raises(ProtocolError):
        Choice.from_json(values, ["bfv", "ckks"])


def test_choices_travel():
    assert Choice.from_json(BOTH.to_json(), ["bfv", "ckks"]) == BOTH
    assert np.all(
        [Choice.from_json(BOTH.to_json(), ["bfv", "ckks"]).engine_for(n) == BOTH.engine_for(n) for n in range(40)]
    )
