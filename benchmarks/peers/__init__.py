"""Other libraries, each in an environment of its own, because their exact pins exclude one another."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).parents[2]
_FOLDER = _PROJECT / "benchmarks" / ".data" / "peers"
#: By name of the environment.
REQUIREMENTS = {
    "glwe_linear": ["concrete-ml-extensions==0.2.0", "numpy<2"],
    # About 6 GB: its exact pins of torch and others bring CUDA. It imports pkg_resources. The last line is for the
    # tests of interoperation, which import this project from its folder.
    "concrete_ml": [
        *("concrete-ml==1.9.0", "setuptools<81"),
        *("tenseal==0.3.18", "safetensors", "cryptography", "tqdm", "pytest", "hypothesis"),
    ],
    # For their installed sizes only.
    "fhe_estimators": [str(_PROJECT)],
    "fhe_estimators_tfhe": [f"{_PROJECT}[tfhe]"],
    "tenseal": ["tenseal==0.3.18"],
}
#: Environment of a script that has another name.
_ENVIRONMENTS = {"concrete_ml_trees": "concrete_ml"}


def environment(name: str) -> Path:
    """Python of a peer's environment, which is made on first use."""
    folder = _FOLDER / name
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        print(f"making the environment of {name} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS[name]], check=True)
        (folder / ".ready").touch()
    return python


def installed_bytes(name: str) -> int:
    """Size of a peer's environment, less that of an empty one."""
    packages = environment(name).parents[1]
    return sum(file.stat().st_size for file in packages.rglob("*") if file.is_file() and not file.is_symlink())


def run_peer(name: str, *arguments: str) -> Any:
    """What a peer's script prints as JSON on its last line."""
    script = Path(__file__).with_name(f"{name}.py")
    command = [str(environment(_ENVIRONMENTS.get(name, name))), str(script), *arguments]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.strip().splitlines()[-1])
