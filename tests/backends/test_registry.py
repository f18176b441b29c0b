"""Names to backends, plug-ins and lazy imports."""

import subprocess
import sys

import pytest

from fhe_estimators.backends import Backend, _registry, available_backends, resolve_backend
from fhe_estimators.backends.clear import ClearBackend


class FakeEntryPoint:
    """An installed package's entry point."""

    def __init__(self, name, loaded):
        self.name, self._loaded = name, loaded

    def load(self):
        return self._loaded


def test_built_in_names():
    assert {"clear", "ckks"} <= set(available_backends())


def test_by_name():
    assert isinstance(resolve_backend("clear"), ClearBackend)


def test_an_instance_is_returned_as_it_is():
    backend = ClearBackend()
    assert resolve_backend(backend) is backend


@pytest.mark.parametrize("backend", ["fancy", None, 3, ClearBackend])
def test_unknown(backend):
    with pytest.raises(ValueError, match=r"is unknown: use one of \['auto', 'bfv', 'ckks', 'clear'"):
        resolve_backend(backend)


def test_entry_points(monkeypatch):
    class Plugin(ClearBackend):
        name = "plugin"

    monkeypatch.setattr(_registry, "entry_points", lambda group: [FakeEntryPoint("plugin", Plugin)])
    assert "plugin" in available_backends()
    assert isinstance(resolve_backend("plugin"), Plugin)


def test_an_entry_point_cannot_replace_a_built_in(monkeypatch):
    monkeypatch.setattr(_registry, "entry_points", lambda group: [FakeEntryPoint("clear", object)])
    assert isinstance(resolve_backend("clear"), Backend)


@pytest.mark.parametrize("module", ["fhe_estimators.backends", "fhe_estimators.estimators"])
def test_engines_and_clients_are_imported_on_demand(module):
    code = (
        f"import sys, {module}; "
        "heavy = {'tenseal', 'torch', 'xgboost', 'lightgbm', 'concrete'} & set(sys.modules); "
        "parts = [m for m in sys.modules if m.startswith('fhe_estimators.backends.') and 'client' in m.split('.')]; "
        "assert not heavy and not parts, (heavy, parts)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
