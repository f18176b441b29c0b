"""Run the mutants: ``python -m tests.mutants [--only NAME,...] [-n PROCESSES]``.

Exits with 1 if more than 5 % survive, or if one cannot be judged: its text is no longer there, or its tests do not run.
"""

import argparse
import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants import MUTANTS, PACKAGE, ROOT, Mutant

LARGEST_SHARE_OF_SURVIVORS = 0.05
_COPIED = [PACKAGE, "tests", "conftest.py", "pyproject.toml"]
_SECONDS = 600
_KILLED, _SURVIVED, _UNJUDGED = "killed", "SURVIVED", "NOT JUDGED"
_TESTS_FAILED = 1  # what pytest exits with; anything else but 0 says that no test ran


def copy_of_project(folder: Path) -> None:
    """What the tests need, compiled such that a changed file is noticed whatever its size and date."""
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    compileall.compile_dir(folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


def run_tests(folder: Path, tests: list[str], numba_cache: Path) -> tuple[int, str]:
    """Exit code of pytest, and its last lines; the code of a failure if it takes too long."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_CACHE_DIR": str(numba_cache),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    options = ["-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "-p", "tests.mutants.quick"]
    command = [sys.executable, "-m", "pytest", *options, *(f"tests/{test}" for test in tests)]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return _TESTS_FAILED, f"no end after {_SECONDS} s"
    # Where Concrete was used, a process may exit with 0 whatever pytest returned.
    failed = done.returncode == 0 and re.search(r"^\d+ failed", done.stdout, flags=re.MULTILINE)
    return _TESTS_FAILED if failed else done.returncode, (done.stdout + done.stderr)[-1500:]


def judge(mutant: Mutant, folder: Path) -> tuple[str, str]:
    """Break the copy, run the tests, mend the copy."""
    text, path = mutant.mutated(folder), folder / PACKAGE / mutant.file
    if text is None:
        return _UNJUDGED, f"{mutant.old!r} is not in {mutant.file}, or more than once."
    source = mutant.source(folder)
    # numba does not notice that a function called by a compiled one has changed.
    cache = Path(tempfile.mkdtemp(dir=folder)) if "from numba import" in source else folder / ".numba"
    path.write_text(text)
    try:
        code, output = run_tests(folder, list(mutant.tests), cache)
    finally:
        path.write_text(source)
    verdict = {0: _SURVIVED, _TESTS_FAILED: _KILLED}.get(code, _UNJUDGED)
    return verdict, "" if verdict == _KILLED else output


def check_that_tests_pass(mutants: list[Mutant], folder: Path) -> None:
    """A test that fails without a fault would kill everything."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    code, output = run_tests(folder, tests, folder / ".numba")
    if code:
        raise SystemExit(f"The tests fail without any mutant:\n{output}")


def run(mutants: list[Mutant], n_processes: int, folder: Path) -> dict[str, list[Mutant]]:
    """Verdicts of all mutants."""
    verdicts: dict[str, list[Mutant]] = {_KILLED: [], _SURVIVED: [], _UNJUDGED: []}
    copies: SimpleQueue[Path] = SimpleQueue()
    for number in range(n_processes):
        copies.put(folder / str(number))
        copy_of_project(folder / str(number))
    check_that_tests_pass(mutants, folder / "0")

    def judged(mutant: Mutant) -> tuple[str, str, float]:
        copy, start = copies.get(), time.monotonic()
        try:
            return *judge(mutant, copy), time.monotonic() - start
        finally:
            copies.put(copy)

    with ThreadPoolExecutor(n_processes) as pool:
        for mutant, (verdict, output, seconds) in zip(mutants, pool.map(judged, mutants), strict=True):
            verdicts[verdict].append(mutant)
            print(f"{verdict:10} {seconds:6.1f} s  {mutant.name} ({mutant.file})\n{output}".rstrip(), flush=True)
    return verdicts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="mutants whose name or file contains one of these, apart by commas")
    parser.add_argument("-n", type=int, default=1, dest="n_processes", help="how many to judge at a time")
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    mutants = [mutant for mutant in MUTANTS if any(part in mutant.name or part in mutant.file for part in parts)]
    if not mutants:
        parser.error(f"no mutant has {arguments.only!r} in its name or file")
    with tempfile.TemporaryDirectory() as folder:
        verdicts = run(mutants, max(1, arguments.n_processes), Path(folder))
    counts = ", ".join(f"{len(found)} {verdict.lower()}" for verdict, found in verdicts.items())
    print(f"{len(mutants)} mutants: {counts}.")
    survivors = len(verdicts[_SURVIVED])
    return int(bool(verdicts[_UNJUDGED]) or survivors > LARGEST_SHARE_OF_SURVIVORS * len(mutants))


if __name__ == "__main__":
    sys.exit(main())
