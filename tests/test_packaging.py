"""What the project's files say about versions and tools is the same everywhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TREES = ("xgboost", "lightgbm", "catboost", "plots")


def lower_bounds():
    """By name, of the core and of the extras for trees."""
    text = (ROOT / "pyproject.toml").read_text()
    lists = [re.search(r"^dependencies = \[(.*?)^\]", text, flags=re.DOTALL | re.MULTILINE)[1]]
    lists += [re.search(rf"^{extra} = \[(.*)\]$", text, flags=re.MULTILINE)[1] for extra in TREES]
    return dict(re.findall(r'"([\w-]+)>=([\d.]+)"', "".join(lists)))


def parts(version):
    numbers = [int(part) for part in version.split(".")]
    return tuple(numbers + [0] * (3 - len(numbers)))


def test_the_oldest_environment_has_the_lower_bounds():
    pinned = dict(
        re.findall(r"^([\w-]+)==([\d.]+)$", (ROOT / "constraints-oldest.txt").read_text(), flags=re.MULTILINE)
    )
    bounds = lower_bounds()
    assert pinned.pop("xgboost-cpu") == pinned["xgboost"]
    assert len(bounds) > 10
    assert {name: parts(version) for name, version in pinned.items()} == {n: parts(v) for n, v in bounds.items()}


def test_the_pythons_that_are_claimed_are_those_that_are_tested():
    claimed = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    tested = re.findall(r"(?:call python,|python)(3\.\d+)(?:\) -m venv| -c)", (ROOT / "Makefile").read_text())
    assert set(claimed) == set(tested)
    assert f'requires-python = ">={claimed[0]}"' in (ROOT / "pyproject.toml").read_text()


def commands(text, pattern):
    return [match.removesuffix(" --fix").removesuffix(" .") for match in re.findall(pattern, text)]


def test_pre_commit_runs_what_make_lint_runs():
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)[1]
    lint = commands(recipe, r"\$\(BIN\)/(.*)")
    hooks = commands((ROOT / ".pre-commit-config.yaml").read_text(), r"entry: \.venv/bin/(.*)")
    # before a commit files are mended, not only judged
    assert [command.replace(" --check", "") for command in lint] == hooks
    assert "ruff check" in hooks and "mypy" in hooks


@pytest.mark.parametrize("step", ["lint", "docs", "demo", "test-oldest", "test-newest", "test-3.12", "test"])
def test_continuous_integration_runs_every_step(step):
    steps = re.findall(r"^step (\S+)", (ROOT / ".ci" / "run").read_text(), flags=re.MULTILINE)
    assert step in steps and steps[-1] == "test"  # its summary is the last thing printed
    assert re.search(rf"^{re.escape(step)}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
