"""Framing of messages: round trips, and every way to damage one."""

import hashlib
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhe_estimators.backends import messages as _messages
from fhe_estimators.backends.messages import blobs_digest, pack_message, response_header, unpack_message
from fhe_estimators.exceptions import KeyMismatchError, ProtocolError

MESSAGE = pack_message("request", {"n_rows": 3}, [b"abc", b"", b"0123456789"])


def frame(text: bytes, blobs: bytes = b"", *, version: int = 2, header_bytes: int | None = None) -> bytes:
    """A message with a right checksum around whatever content."""
    size = len(text) if header_bytes is None else header_bytes
    start, end = struct.pack("<4sHI", b"FHEM", version, size) + text, blobs
    if header_bytes is not None:  # what a reader takes for the header
        start, end = start + blobs, b""
    return start + end + hashlib.sha256(start + hashlib.sha256(end).digest()).digest()


@settings(deadline=None)
@given(
    header=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers() | st.text() | st.none()),
    blobs=st.lists(st.binary(max_size=50), max_size=4),
)
def test_round_trip(header, blobs):
    found, parts = unpack_message("response", pack_message("response", header, blobs))
    assert found == header and [bytes(part) for part in parts] == blobs


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_other_buffers(kind):
    assert unpack_message("request", kind(MESSAGE))[0] == {"n_rows": 3}


@pytest.mark.parametrize("size", [*range(0, len(MESSAGE), 7), len(MESSAGE) - 1])
def test_truncated(size):
    with pytest.raises(ProtocolError, match="truncated"):
        unpack_message("request", MESSAGE[:size])


@pytest.mark.parametrize("position", range(len(MESSAGE)))
def test_any_flipped_bit(position):
    damaged = bytearray(MESSAGE)
    damaged[position] ^= 1
    with pytest.raises(ProtocolError):
        unpack_message("request", bytes(damaged))


def test_trailing_bytes():
    with pytest.raises(ProtocolError, match="checksum"):
        unpack_message("request", MESSAGE + b"x")


@pytest.mark.parametrize("message", [None, "text", 5, [1]])
def test_not_bytes(message):
    with pytest.raises(ProtocolError, match="must be bytes"):
        unpack_message("request", message)


def test_foreign_bytes():
    with pytest.raises(ProtocolError, match="not a request of fhe_estimators"):
        unpack_message("request", b"PK\x03\x04" + b"\0" * 100)


def test_wrong_kind():
    with pytest.raises(ProtocolError, match="kind 'response', got 'request'"):
        unpack_message("response", MESSAGE)


def test_future_version():
    with pytest.raises(ProtocolError, match="Upgrade fhe_estimators"):
        unpack_message("request", frame(b"{}", version=_messages.MESSAGE_VERSION + 1))


@pytest.mark.parametrize("version", [0, 1])
def test_past_versions(version):
    with pytest.raises(ProtocolError, match="on both sides"):
        unpack_message("request", frame(b"{}", version=version))


def test_a_known_digest_is_not_computed_again():
    blobs = [b"abc", b"0123"]
    assert pack_message("request", {}, blobs, digest=blobs_digest(blobs)) == pack_message("request", {}, blobs)
    with pytest.raises(ProtocolError, match="checksum"):
        unpack_message("request", pack_message("request", {}, blobs, digest=blobs_digest([b"other"])))


IDS = {"program_id": "p", "key_id": "0" * 32, "request_id": "1" * 32}


def test_a_response_names_its_request_and_nothing_else():
    assert response_header({**IDS, "n_rows": 3}, {**IDS, "more": 4}, "p") == IDS


@pytest.mark.parametrize("request_id", [None, 5, "", "0" * 31, "0" * 33, "X" * 32, "0" * 32 + "\n", ["0" * 32]])
def test_identifiers_are_checked_before_they_are_repeated(request_id):
    with pytest.raises(ProtocolError, match="request_id"):
        response_header({**IDS, "request_id": request_id}, IDS, "p")
    with pytest.raises(ProtocolError, match="key_id"):
        response_header({**IDS, "key_id": request_id}, {**IDS, "key_id": request_id}, "p")


@pytest.mark.parametrize("change", [{"program_id": "q"}, {"key_id": "2" * 32}])
def test_what_does_not_belong_together_has_no_response(change):
    with pytest.raises(KeyMismatchError, match=r"other keys|another model"):
        response_header({**IDS, **change}, IDS, "p")
    with pytest.raises(KeyMismatchError, match=r"other keys|another model"):
        response_header(IDS, {**IDS, **change}, "p")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"{not json",
        b"[]",
        b"3",
        b'{"kind": "request"}',
        b'{"blob_bytes": []}',
        b'{"kind": "request", "blob_bytes": 3}',
        b'{"kind": "request", "blob_bytes": ["x"]}',
        b'{"kind": "request", "blob_bytes": [1e400]}',
        b'{"kind": "request", "blob_bytes": [Infinity]}',
        b'{"kind": "request", "blob_bytes": [true]}',
        b'{"kind": "request", "blob_bytes": [-1, 4]}',
        b'{"kind": "request", "blob_bytes": {"3": 3}}',
        b'{"kind": "request", "blob_bytes": [], "nested": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    ],
)
def test_malformed_header(text):
    with pytest.raises(ProtocolError, match="header of the request is malformed"):
        unpack_message("request", frame(text))


@pytest.mark.parametrize("sizes", [[4], [2], [3, 3], []])
def test_parts_must_add_up(sizes):
    header = json.dumps({"kind": "request", "blob_bytes": sizes}).encode()
    with pytest.raises(ProtocolError, match="do not add up"):
        unpack_message("request", frame(header, b"abc"))


def test_header_longer_than_the_message():
    with pytest.raises(ProtocolError, match="malformed"):
        unpack_message("request", frame(b"{}", header_bytes=1 << 31))
