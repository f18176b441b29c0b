"""What docs/formats.rst says of bytes, read by hand from files of each version."""

import hashlib
import json
import re
import struct
import zipfile
from pathlib import Path

import pytest

from fhe_estimators.backends.messages import MESSAGE_VERSION
from fhe_estimators.serving._versions import ARCHIVE_VERSION

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
DOCUMENT = (ROOT / "docs" / "formats.rst").read_text()


@pytest.mark.parametrize("path", sorted(DATA.glob("v*/clear.*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_stored_files_are_as_documented(path):
    version = int(path.parent.name[1:])
    if path.suffix == ".fhe":
        with zipfile.ZipFile(path) as archive:
            assert sorted(archive.namelist()) == ["arrays.safetensors", "manifest.json"]
            assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
            manifest, arrays = json.loads(archive.read("manifest.json")), archive.read("arrays.safetensors")
        assert set(manifest) == {"format", "version", "kind", "arrays_sha256", "settings"}
        assert (manifest["format"], manifest["version"]) == ("fhe_estimators", version)
        assert manifest["kind"] == path.name.split(".")[1]
        assert manifest["arrays_sha256"] == hashlib.sha256(arrays).hexdigest()
        json.loads(arrays[8 : 8 + struct.unpack("<Q", arrays[:8])[0]])
        return
    content = path.read_bytes()
    assert content[:4] == b"FHEM" and struct.unpack("<H", content[4:6]) == (version,)
    start = 10 + struct.unpack("<I", content[6:10])[0]
    header, blobs = json.loads(content[10:start]), content[start:-32]
    kind = path.suffix[1:]
    assert header["kind"] == ("encrypted_client_keys" if kind == "client_keys" else kind)
    assert sum(header["blob_bytes"]) == len(blobs)
    summed = content[:-32] if version == 1 else content[:start] + hashlib.sha256(blobs).digest()
    assert content[-32:] == hashlib.sha256(summed).digest()
    if kind == "client_keys":
        assert header["blob_bytes"][:2] == [16, 12]
    elif version == MESSAGE_VERSION:
        assert {"program_id", "key_id"} <= set(header) and ("request_id" in header) == (kind != "evaluation_keys")


def test_the_document_names_the_present_versions():
    assert re.search(rf"\* - archives\n     - {ARCHIVE_VERSION}\n", DOCUMENT)
    assert re.search(rf"\* - messages, key files\n     - {MESSAGE_VERSION}\n", DOCUMENT)


def described(document):
    """Paths, methods, parameters and statuses of an OpenAPI document."""
    return {
        f"{method.upper()} {path}": {
            "required": sorted(p["name"] for p in operation.get("parameters", []) if p.get("required")),
            "parameters": sorted(p["name"] for p in operation.get("parameters", [])),
            "statuses": sorted(operation["responses"]),
        }
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_http_of_version_1_only_gains(tmp_path):
    for library in ("fastapi", "prometheus_client"):
        pytest.importorskip(library)
    from fhe_estimators.serving.server.app import create_app
    from fhe_estimators.serving.server.service import ScoringService
    from tests.serving.served import iris_model

    iris_model(tmp_path)
    service = ScoringService([str(tmp_path / "model.server.fhe")])
    present = described(create_app(service).openapi())
    service.close()
    stored = json.loads((DATA / "http_v1.json").read_text())
    for operation, expected in stored.items():
        assert present[operation]["required"] == expected["required"], operation
        assert set(present[operation]["parameters"]) >= set(expected["parameters"]), operation
    for operation in present:
        path = operation.partition(" ")[2].replace("{name}", "NAME").replace("{keys_id}", "KEYS_ID")
        assert path == "/" or path in DOCUMENT, operation


def test_every_code_is_documented():
    code = re.compile(r'(?:Refusal\(\s*|busy\(|refusal_of\(\s*)\d{3},\s*"(\w+)"')
    sources = [*(ROOT / "fhe_estimators/utils/http/server").glob("*.py")]
    sources += (ROOT / "fhe_estimators/serving/server").glob("*.py")
    codes = {found for path in sources for found in code.findall(path.read_text())} - {"left"}
    assert len(codes) > 12
    assert not {found for found in codes if f"``{found}``" not in DOCUMENT}
