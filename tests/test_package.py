"""What the package promises as a whole."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import fhe_estimators
from fhe_estimators import estimators, exceptions, serving

ROOT = Path(__file__).parents[1]


def test_public_names_are_lazy_and_complete():
    # Contributions are made by `predict_contributions`: few need the class.
    estimator_names = {name for name in estimators.__all__ if name.startswith("FHE")} - {"FHEContributions"}
    assert estimator_names == {name for name in fhe_estimators.__all__ if name.startswith("FHE")}
    needs_torch = {"HELoRAFineTuner"} if find_spec("torch") is None else set()
    for name in fhe_estimators.__all__:
        assert name in dir(fhe_estimators) and (name in needs_torch or getattr(fhe_estimators, name) is not None)
    with pytest.raises(AttributeError, match="no attribute 'FHEFancy'"):
        fhe_estimators.FHEFancy  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'FHEFancy'"):
        serving.FHEFancy  # noqa: B018
    assert {"FHEClient", "FHEServer"} <= set(dir(serving))


def test_importing_the_package_imports_no_library():
    code = "import sys, fhe_estimators; print({'sklearn', 'numpy', 'tenseal', 'xgboost', 'torch'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_errors_are_those_scikit_learn_users_catch():
    classes = [value for value in vars(exceptions).values() if isinstance(value, type)]
    errors = [value for value in classes if not issubclass(value, Warning)]
    for error in errors:
        if error.__module__ == exceptions.__name__ and error is not exceptions.FHEError:
            assert issubclass(error, exceptions.FHEError)
            assert issubclass(error, (ValueError, ImportError, OSError, RuntimeError, MemoryError))


@pytest.mark.parametrize("document", ["README.md", "docs/quick_start.rst"])
def test_the_code_of_the_documents_runs(document, tmp_path, monkeypatch, capsys):
    text = (ROOT / document).read_text()
    if document.endswith(".md"):
        blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    else:
        found = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
        blocks = [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in found]
    assert blocks
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks:
        exec(compile(block, document, "exec"), names)
    capsys.readouterr()
