"""Examples run where nothing but the package is installed, and fit the pages they stand on."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
GALLERY = [path for path in EXAMPLES if path.name.startswith("plot_")]
#: What lies in the repository and not in the package.
NOT_INSTALLED = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"fhe_estimators"}


def name(path):
    return path.relative_to(ROOT / "examples").as_posix()


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level
            yield node.module


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_examples_import_nothing_that_is_not_installed(path):
    modules = set(imported(path))
    assert not {module.partition(".")[0] for module in modules} & NOT_INSTALLED
    assert not [module for module in modules if "._" in module]  # nor private modules


@pytest.mark.parametrize("path", GALLERY, ids=name)
def test_lines_are_no_longer_than_the_column(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [number for number, line in enumerate(lines, start=1) if len(line) > 79] == []


def test_there_are_examples():
    assert len(GALLERY) >= 17 and {"benchmarks", "tests"} <= NOT_INSTALLED
