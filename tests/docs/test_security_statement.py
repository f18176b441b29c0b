"""The security statement names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security" / "statement.rst").read_text()


def test_every_test_that_the_statement_names_exists():
    named = re.findall(r"``(tests/[\w/]+\.py)``", TEXT)
    assert len(named) > 15
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_files_named_without_a_folder_exist_somewhere():
    for name in re.findall(r"``(test_\w+\.py)``", TEXT):
        assert list((ROOT / "tests").rglob(name)), name
