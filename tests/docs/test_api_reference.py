"""docs/api.rst lists every public name, and nothing that does not exist."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import fhe_estimators
from fhe_estimators import exceptions
from tests.docs.public_api import PUBLIC, is_documented_by_docstring

REFERENCE = (Path(__file__).parents[2] / "docs" / "api.rst").read_text()
#: Entries of autosummary tables.
ENTRIES = re.findall(r"^   (fhe_estimators[\w.]+)$", REFERENCE, flags=re.MULTILINE)
SHORT_NAMES = ("FHERandomForest", "FHEGradientBoosting")


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_in_the_api_reference(name):
    module, _, last = name.rpartition(".")
    if module == exceptions.__name__:
        assert re.search(rf"automodule:: {re.escape(module)}\n   :members:", REFERENCE)
    elif is_documented_by_docstring(PUBLIC[name]) and last not in SHORT_NAMES:
        assert {other for other, value in PUBLIC.items() if value is PUBLIC[name]} & set(ENTRIES)
    else:
        assert re.search(rf"`{last}`", REFERENCE)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_exists(name):
    module, _, last = name.rpartition(".")
    assert getattr(import_module(module), last) is not None


def test_short_names_are_those_of_the_classes_that_the_reference_names():
    for name in SHORT_NAMES:
        assert getattr(fhe_estimators, name) is getattr(fhe_estimators, f"{name}Classifier")
        assert re.search(rf"`{name}` \(`{name}Classifier`\)", REFERENCE)


def test_no_entry_is_there_twice():
    assert len(ENTRIES) == len(set(ENTRIES))
