"""Adversary: whoever sends a model file. Goal: to run code on the machine that compares it.

A .skops file names types and functions, and what to call them with. Whole libraries were trusted, NumPy among them,
which has functions that execute text: `fhe-estimators compare model.skops` did.
"""

import io
import json
import zipfile

import pandas as pd
import pytest

from fhe_estimators.cli import main

skops = pytest.importorskip("skops.io")

#: Something of every library that was trusted, called with a text and a dictionary.
CALLED = [
    ("numpy.testing._private.utils", "runstring"),
    ("numpy.testing", "measure"),
    ("numpy", "save"),
    ("sklearn.utils._testing", "check_docstring_parameters"),
    ("sklearn.externals._packaging.version", "parse"),
    ("collections", "namedtuple"),
    ("xgboost.core", "DMatrix"),
    ("lightgbm.basic", "Dataset"),
]


def calling_file(path, module, function, arguments):
    """A file that has a function called when it is read."""
    entries = zipfile.ZipFile(io.BytesIO(skops.dumps(arguments)))
    content = json.loads(entries.read("schema.json"))
    node = {"__module__": module, "__class__": function, "__loader__": "ConstructorFromReduceNode", "__id__": 1}
    schema = {**node, "content": content, "protocol": content["protocol"], "_skops_version": content["_skops_version"]}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))


def compare(path, folder):
    pd.DataFrame({"a": [0.0, 1.0], "y": [0, 1]}).to_csv(folder / "rows.csv", index=False)
    return main(["compare", str(path), str(folder / "rows.csv"), "--target", "y"])


@pytest.mark.parametrize("function", ["runstring", "measure"])
def test_reading_a_model_runs_no_code(tmp_path, function, capsys):
    trace = tmp_path / "was here"
    code = f"open({str(trace)!r}, 'w').close()"
    module = "numpy.testing._private.utils" if function == "runstring" else "numpy.testing"
    calling_file(tmp_path / "model.skops", module, function, (code, {}) if function == "runstring" else (code,))
    assert compare(tmp_path / "model.skops", tmp_path) == 1
    assert not trace.exists()
    assert f"{function}'], which no supported model consists of" in capsys.readouterr().err


@pytest.mark.parametrize(("module", "function"), CALLED)
def test_no_library_is_trusted_as_a_whole(tmp_path, module, function, capsys):
    calling_file(tmp_path / "model.skops", module, function, ("a text", {}))
    assert compare(tmp_path / "model.skops", tmp_path) == 1
    assert f"{module}.{function}'], which no supported model consists of" in capsys.readouterr().err
