"""The engine on the contributing page keeps the contract of engines."""

import importlib.util
from pathlib import Path

import pytest

from fhe_estimators.utils.backend_checks import BACKEND_CHECKS

PATH = Path(__file__).parents[2] / "docs" / "code" / "onehot_engine.py"


@pytest.fixture(scope="module")
def backend():
    spec = importlib.util.spec_from_file_location("onehot_engine", PATH)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "onehot_engine", module)  # programs pickle by the module's name
        spec.loader.exec_module(module)
        yield module.OneHotBackend()


@pytest.mark.parametrize("check", BACKEND_CHECKS, ids=lambda check: check.__name__)
def test_the_example_engine(backend, check):
    check(backend, 5)


def test_the_example_engine_imports_public_names_only():
    imports = [line for line in PATH.read_text().splitlines() if line.startswith("from fhe_estimators")]
    assert imports and not [line for line in imports if "._" in line or " _" in line]
