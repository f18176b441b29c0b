"""The suite keeps its promises: what is written is collected, and nothing is skipped silently."""

import re
import subprocess
import sys

from tests.plugin import COLLECTED, NEEDS, OPTIONAL, ROOT, is_listed, left_out, written_tests

#: Files that pass, or seem to be skipped for a reason, without the rules.
FAULTS = {
    "skip": "import pytest\ndef test_one():\n    pytest.skip('it rains')\n",
    "mark": "import pytest\n@pytest.mark.skip(reason='it rains')\ndef test_one(): pass\n",
    "whole_file": "import pytest\npytest.skip('it rains', allow_module_level=True)\n",
    "unlisted_library": "import pytest\npytest.importorskip('nonexistent_library')\n",
    "own_module": "import pytest\npytest.importorskip('tests.nonexistent')\ndef test_one(): pass\n",
    "broken_import": "from conftest import nothing\ndef test_one(): pass\n",
}
LISTED = """
import pytest

def test_one():
    pytest.skip("no CUDA device")

@pytest.mark.xfail
def test_two():
    assert False
"""


def run(folder, files):
    for name, code in files.items():
        (folder / f"test_{name}.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "tests.plugin", "-p", "no:cacheprovider", str(folder)]
    options = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), "--confcutdir", str(folder)]
    options += ["--continue-on-collection-errors"]
    return subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)


def test_quiet_skips_fail(tmp_path):
    result = run(tmp_path, FAULTS)
    assert result.returncode == 1
    outcomes = dict(re.findall(r"^(?:ERROR|FAILED) .*test_(\w+)\.py(.*)", result.stdout, flags=re.MULTILINE))
    assert set(outcomes) == set(FAULTS), result.stdout


def test_listed_skips_and_expected_failures_pass(tmp_path):
    result = run(tmp_path, {"sample": LISTED})
    assert result.returncode == 0 and "1 skipped, 1 xfailed" in result.stdout, result.stdout


def test_a_missing_library_is_no_reason_where_all_have_to_be_there(monkeypatch):
    monkeypatch.setattr("tests.plugin.find_spec", lambda library: None)
    for library in OPTIONAL:
        assert is_listed(f"Skipped: could not import '{library}': No module named")
        assert not is_listed(f"Skipped: could not import '{library}': No module named", all_libraries=True)
    assert not is_listed("Skipped: could not import 'numpy': No module named")
    assert left_out(ROOT / "tests" / "lora") and left_out(ROOT / "tests" / "lora" / "test_estimator.py")
    assert not left_out(ROOT / "tests" / "estimators")


def test_a_broken_library_is_no_reason():
    assert not is_listed("Skipped: could not import 'xgboost': undefined symbol")  # it is installed


def test_files_that_need_libraries_exist():
    for pattern in NEEDS:
        assert list(ROOT.glob(pattern)), f"{pattern} is in tests/plugin.py, and there is no such file"


def asked_for(config):
    """Files with tests that this run was asked for: all of them, without arguments."""
    for argument in config.args:
        path = (config.invocation_params.dir / argument.split("::")[0]).resolve()
        if "::" not in argument:
            yield from path.rglob("*.py") if path.is_dir() else [path]


def test_every_written_test_is_collected(request):
    collected = request.config.stash[COLLECTED]
    files = [file for file in asked_for(request.config) if not left_out(file)]
    lost = {
        str(file.relative_to(ROOT)): sorted(names)
        for file in files
        if file.is_relative_to(ROOT) and (names := written_tests(file) - collected.get(file, set()))
    }
    assert not lost
    assert sum(map(len, collected.values())) > 0


def test_tests_are_counted_where_pytest_finds_them(tmp_path, pytestconfig):
    file = tmp_path / "sample.py"
    file.write_text(
        "def test_one(): pass\n"
        "if True:\n    def test_two(): pass\n"
        "class TestThree:\n    def test_four(self): pass\n    def helper(self): pass\n"
        "class Other:\n    def test_five(self): pass\n"
        "def helper():\n    'Says.\\n\\n    >>> 1\\n    1'\n    def test_six(): pass\n"
    )
    assert written_tests(file) == {"test_one", "test_two", "TestThree.test_four", "docstrings"}
