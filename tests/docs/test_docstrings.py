"""Docstrings say what the code does: parameters, defaults, sections, examples."""

import dataclasses
import inspect
import re
from importlib import import_module

import pytest

pytest.importorskip("numpydoc")
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import ERROR_MSGS, validate

from tests.docs.public_api import CALLABLES, MEMBERS, OBJECTS

# Left out: sections that not everything needs (extended summary, see also; examples are tested below); summaries that
# begin with a verb, since what only computes a value is named by a noun (as ruff's D401, which the project leaves
# out); and unnamed single return values, since they are named here, as in scikit-learn, which leaves this out too.
CHECKS = set(ERROR_MSGS) - {"ES01", "SA01", "EX01", "SS05", "RT02"}

#: Where "see `X`" in the place of a parameter's type points.
SOURCES = ("sklearn.tree", "sklearn.ensemble")

MAIN = [
    name
    for name in OBJECTS
    if re.match(r"fhe_estimators(\.serving|\.inspection)?\.[A-Z]\w+$", name) and not name.endswith(("Report", "Phases"))
]
MAIN += [
    "fhe_estimators.quantizers.ThresholdQuantizer",
    "fhe_estimators.quantizers.UniformQuantizer",
    "fhe_estimators.quantizers.QuantileQuantizer",
    "fhe_estimators.quantizers.linear.LinearQuantizer",
    "fhe_estimators.ensembles.ensemble_from_model",
    "fhe_estimators.inspection.compare_with_cleartext",
    "fhe_estimators.backends.available_backends",
    "fhe_estimators.backends.lwe.LWEBackend",
]
MAIN = [name for name in MAIN if name in OBJECTS]


def signature_of(name):
    """Parameters by name, with stars; defaults made by dataclasses' factories are called."""
    value = CALLABLES[name]
    try:
        parameters = list(inspect.signature(value).parameters.values())
    except ValueError:  # exceptions
        return {}
    if name in MEMBERS and not inspect.ismethod(value):
        parameters = parameters[1:]  # self
    factories = {}
    if dataclasses.is_dataclass(value):
        factories = {field.name: field.default_factory for field in dataclasses.fields(value)}
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    defaults = {}
    for parameter in parameters:
        factory = factories.get(parameter.name, dataclasses.MISSING)
        default = parameter.default if factory is dataclasses.MISSING else factory()
        defaults[stars.get(parameter.kind, "") + parameter.name] = default
    return defaults


def documented_parameters(name):
    """Types, as written, by name."""
    docstring = NumpyDocString(inspect.getdoc(CALLABLES[name]))
    return {each: group.type for group in docstring["Parameters"] for each in group.name.split(", ")}


def documented_default(name, written):
    """The default that a type states, or that of the class it refers to."""
    reference = re.fullmatch(r"see `(\w+)`", written)
    if reference:
        (source,) = [found for found in (getattr(import_module(m), reference[1], None) for m in SOURCES) if found]
        return inspect.signature(source).parameters[name].default
    stated = re.search(r"default=(.+)$", written)
    return eval(stated[1], {"__builtins__": {}, "range": range}) if stated else inspect.Parameter.empty


@pytest.mark.parametrize("name", CALLABLES)
def test_documented_parameters_and_defaults_are_the_real_ones(name):
    documented, real = documented_parameters(name), signature_of(name)
    assert list(documented) == list(real)
    stated = {each: documented_default(each, written) for each, written in documented.items()}
    assert stated == real


@pytest.mark.parametrize("name", [*OBJECTS, *MEMBERS])
def test_numpydoc_validation(name):
    value = MEMBERS.get(name)
    if value is not None and not value.__doc__:
        # An override of a documented method; the class above it is validated.
        assert inspect.getdoc(value) or inspect.getdoc(getattr(value, "fget", None))
        return
    assert [error for error in validate(name)["errors"] if error[0] in CHECKS] == []


@pytest.mark.parametrize("name", MAIN)
def test_main_names_have_examples(name):
    # That they run is what `--doctest-modules` tests.
    assert any(line.startswith(">>> ") for line in NumpyDocString(inspect.getdoc(OBJECTS[name]))["Examples"])
