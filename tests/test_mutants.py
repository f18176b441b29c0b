"""The list of mutants keeps up with the code: its texts and tests are there."""

import ast

import pytest

from tests.mutants import MUTANTS, ROOT
from tests.plugin import written_tests


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_still_applies(mutant):
    text = mutant.mutated()
    assert text is not None, f"{mutant.old!r} occurs {mutant.source().count(mutant.old)} times in {mutant.file}"
    assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(mutant.source()))


def test_names_are_unique():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_the_tests_that_kill_them_exist():
    for test in {test for mutant in MUTANTS for test in mutant.tests}:
        file, *names = test.partition("[")[0].split("::")
        found = written_tests(ROOT / "tests" / file)
        name = ".".join(names)
        assert not name or name in found or any(one.startswith(name + ".") for one in found), test
