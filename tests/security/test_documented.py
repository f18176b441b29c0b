"""The figures of ``docs/security/parameters.rst`` are those of the estimate."""

import math
import re
from pathlib import Path

import pytest

from fhe_estimators.security import LWEInstance, estimate_security
from tests.security.published import concrete_noise_std

PAGE = (Path(__file__).parents[2] / "docs" / "security" / "parameters.rst").read_text()


def rows(n_columns):
    """Rows of numbers of the tables of so many columns."""
    for line in PAGE.splitlines():
        cells = line.replace(",", "").split()
        if len(cells) == n_columns and all(re.fullmatch(r"-?\d+(\.\d)?", cell) for cell in cells):
            yield [float(cell) for cell in cells]


def as_written(estimate):
    return [round(cost, 1) for cost in (estimate.usvp, estimate.bdd, estimate.dual, estimate.bits)]


RINGS, KEYS = ([row for row in rows(6) if (row[1] > 0) == of_rings] for of_rings in (True, False))


def test_the_tables_are_found():
    assert len(RINGS) == 6 and len(KEYS) >= 5


@pytest.mark.parametrize("row", RINGS)
def test_rings(row):
    assert as_written(estimate_security(LWEInstance(int(row[0]), row[1], 3.19, "ternary"))) == row[2:]


@pytest.mark.parametrize("row", KEYS)
def test_keys_of_concrete(row):
    noise = concrete_noise_std(int(row[0]))
    assert round(math.log2(noise) - 64, 1) == row[1]
    assert as_written(estimate_security(LWEInstance(int(row[0]), 64, noise, "binary"))) == row[2:]


@pytest.mark.parametrize(("name", "dimension", "modulus_bits"), [("fast", 1024, 26), ("precise", 2048, 32)])
def test_parameter_sets_of_lwe(name, dimension, modulus_bits):
    (one, many), (bare_one, bare_many) = (
        [
            round(estimate_security(LWEInstance(dimension, modulus_bits, noise, "ternary", n)).bits, 1)
            for n in (1, 2**30)
        ]
        for noise in (math.hypot(math.sqrt(10.5), 2.0 ** (modulus_bits - 24) / math.sqrt(12)), math.sqrt(10.5))
    )
    assert re.search(rf'``"{name}"``.* {one} +{many}\n', PAGE)
    text = " ".join(PAGE.split())
    assert re.search(rf'``"{name}"``( is estimated)? at {bare_one}( bits for one secret)? and {bare_many}', text)
