"""Whatever comes from a file or from the other side is read, or is an `FHEError`; and it takes no memory to tell.

``python -m tests.fuzz 10000`` tries so many inputs of each parser.
"""

import pytest

from tests.fuzz.parsers import NAMES, Parsers
from tests.fuzz.trying import try_parser

N_EXAMPLES = 60


@pytest.fixture(scope="module")
def inputs():
    parsers = Parsers()
    yield parsers.inputs()
    parsers.close()


@pytest.mark.parametrize("name", NAMES)
def test_no_input_is_anything_but_read_or_refused(name, inputs):
    strategy, read = inputs[name]
    try_parser(strategy, read, n_examples=N_EXAMPLES, derandomize=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_nor_any_of_many(name, inputs):
    strategy, read = inputs[name]
    try_parser(strategy, read, n_examples=1000)


def test_every_parser_is_tried(inputs):
    assert tuple(inputs) == NAMES


def test_a_parser_that_lets_an_error_through_is_found(inputs):
    with pytest.raises(ZeroDivisionError):
        try_parser(inputs["message"][0], lambda content: 1 / 0, n_examples=3)
    with pytest.raises(AssertionError, match="took"):
        try_parser(inputs["message"][0], lambda content: bytearray(100_000_000), n_examples=3)
