"""What the suite refuses: skips without a listed reason, and tests that are written and not collected.

A pytest plugin, loaded by the ``conftest.py`` at the root for tests and docstrings alike.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

_PYTORCH = ("torch",)
_SERVICE = ("fastapi", "uvicorn", "httpx", "prometheus_client")
_FINE_TUNING = ("torch", "transformers", "peft", "accelerate", "fastapi", "uvicorn", "httpx")

#: Files that import optional libraries at their top, or show them in their docstrings: left out where one of these is
#: missing. Everything else must import in any environment.
NEEDS = {
    "fhe_estimators/backends/_security.py": _PYTORCH,
    "fhe_estimators/backends/lwe/*": _PYTORCH,
    "fhe_estimators/datasets/_language.py": (*_FINE_TUNING, "gguf"),
    "fhe_estimators/lora/*": _FINE_TUNING,
    "fhe_estimators/quantizers/linear.py": _PYTORCH,
    "fhe_estimators/serving/client/connect/app.py": _SERVICE,
    "fhe_estimators/serving/server/app.py": _SERVICE,
    "tests/attacks/fine_tuning.py": _FINE_TUNING,
    "tests/attacks/test_worker_*": _FINE_TUNING,
    "tests/backends/lwe/*": _PYTORCH,
    "tests/fuzz/*": _FINE_TUNING,
    "tests/docs/*": _FINE_TUNING,
    "tests/lora/*": _FINE_TUNING,
    "tests/quantizers/test_linear.py": _PYTORCH,
    "tests/serving/connected.py": _SERVICE,
    "tests/serving/served.py": _SERVICE,
    "tests/serving/test_categories.py": _SERVICE,
}

#: Libraries without which single tests are skipped, by a call of `pytest.importorskip`.
OPTIONAL = {
    *_FINE_TUNING,
    *_SERVICE,
    "catboost",
    "concrete",
    "gguf",
    "importlinter",
    "lightgbm",
    "numba",
    "numpydoc",
    "pandas",
    "pyarrow",
    "schemathesis",
    "selenium",
    "skops",
    "xgboost",
    "yaml",
}

#: Other reasons to skip a test, each with why it is right to do without it.
REASONS = {
    "could not import 'ray'": "`make test-ray` runs these in an environment of its own",
    "could not import 'concrete.ml.sklearn'": "`make test-peers` runs these in Concrete ML's own environment",
    "takes a second a row": "the tfhe engine evaluates rows one by one: many are no other case than a few",
    "spreads a row over the cores instead": "the tfhe engine has no batches of rows",
    "no Chromium with its driver": "pages are tested by requests too; `apt-get install chromium-driver` brings both",
    "no CUDA device": "the same products are tested on the CPU",
    "PyTorch's products of int8 saturate on this processor": "they are refused there, which is tested",
    "the package that carries the model cannot be fetched": "the tests need no network",
    "SCIPY_ARRAY_API is not set": "estimators take NumPy arrays, not those of other libraries",
    r"FHE\w+ does not have a decision_function method": "scikit-learn's check is for classifiers that have one",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--all-libraries``."""
    parser.addoption("--all-libraries", action="store_true", help="fail where a test is left out for a missing library")


def missing(libraries: tuple[str, ...]) -> list[str]:
    """Those libraries that are not installed."""
    return [library for library in libraries if find_spec(library) is None]


def left_out(path: Path) -> list[str]:
    """Libraries that a file or folder needs and that are missing."""
    name = path.relative_to(ROOT).as_posix() + "/" * path.is_dir() if path.is_relative_to(ROOT) else ""
    return [library for pattern, needed in NEEDS.items() if fnmatch(name, pattern) for library in missing(needed)]


def is_listed(reason: str, *, all_libraries: bool = False) -> bool:
    """Whether a test may be skipped for this reason."""
    if any(re.search(pattern, reason) for pattern in REASONS):
        return True
    library = re.search(r"could not import '(\w+)", reason)
    return bool(library) and not all_libraries and library[1] in OPTIONAL and find_spec(library[1]) is None


def written_tests(path: Path) -> set[str]:
    """Names of the test functions and methods that a file defines, and "docstrings" if these hold examples."""

    def tests(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from [prefix + node.name] * node.name.startswith("test")
            elif isinstance(node, ast.ClassDef):
                yield from tests(node.body, f"{prefix}{node.name}.") if node.name.startswith("Test") else ()
            else:  # under a condition
                yield from tests([*getattr(node, "body", []), *getattr(node, "orelse", [])], prefix)

    tree = ast.parse(path.read_text())
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented)]
    return {*tests(tree.body), *["docstrings"] * any(">>> " in text for text in docstrings)}


def collected_tests(items: list[pytest.Item]) -> dict[Path, set[str]]:
    """The same of what pytest found, by file."""
    found: dict[Path, set[str]] = {}
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            name = "docstrings"
        else:
            classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
            name = ".".join([*classes, getattr(item, "originalname", item.name)])
        found.setdefault(item.path, set()).add(name)
    return found


COLLECTED = pytest.StashKey[dict[Path, set[str]]]()


@pytest.hookimpl(tryfirst=True)  # before tests are deselected by name or marker
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what was collected, for `tests/test_suite.py`."""
    config.stash[COLLECTED] = collected_tests(items)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files whose libraries are missing, unless all have to be there."""
    return True if left_out(collection_path) and not config.getoption("all_libraries") else None


def _refuse_unlisted(report: Any, config: pytest.Config) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if not is_listed(reason, all_libraries=config.getoption("all_libraries")):
            report.outcome = "failed"
            report.longrepr = f"{reason}\nA test may be skipped only for a reason that tests/plugin.py lists."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Fail a test that is skipped for another reason than the listed ones."""
    report = yield
    _refuse_unlisted(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    """Fail a file that is skipped as a whole for another reason than the listed ones."""
    report = yield
    _refuse_unlisted(report, collector.config)
    return report
