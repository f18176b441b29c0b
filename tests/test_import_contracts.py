"""The import contracts catch a client import planted in any server-side module."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Folders and modules on the server's side of the trust line, by name.
SERVER_SIDE = {"evaluator", "program", "worker", "server", "_backend"}
PLANTED = "\n\ndef _planted():\n    from fhe_estimators.backends.clear import client  # noqa\n"

pytest.importorskip("importlinter")


def lint(folder):
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--verbose"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(ROOT / "fhe_estimators", tmp_path / "fhe_estimators", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def is_server_side(path):
    parts = [*path.parts[:-1], path.stem]
    return bool(SERVER_SIDE & set(parts))


def test_a_client_import_in_any_server_side_module_is_found(copy):
    assert lint(copy).returncode == 0
    planted = []
    for path in sorted((copy / "fhe_estimators").rglob("*.py")):
        relative = path.relative_to(copy)
        if is_server_side(relative):
            path.write_text(path.read_text() + PLANTED)
            planted.append(re.sub(r"\.__init__$", "", ".".join(relative.with_suffix("").parts)))
    assert len(planted) >= 25
    result = lint(copy)
    assert result.returncode != 0
    missed = [name for name in planted if not re.search(rf"\b{re.escape(name)} (->|is not allowed)", result.stdout)]
    assert not missed, result.stdout
