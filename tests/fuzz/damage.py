"""Damaged inputs for parsers: bytes changed at random, and JSON of which parts are replaced by anything."""

import copy
import hashlib
import json
import struct

from hypothesis import strategies as st

from fhe_estimators.lora import tensor_messages

#: Values that parsers forget: wrong types, ends of ranges, what JSON has beyond the standard.
ODD_VALUES = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, 1e308, float("inf"), float("nan")),
    *("", "a", "0" * 64, "int8", "\ud800", "..", "../../etc/passwd", "\x1b[2J", [], [[]], {}, {"a": {}}, [0], [None]),
)


@st.composite
def damaged_bytes(draw, sample):
    """A sample with a few bytes changed, removed, doubled or added."""
    found = bytearray(sample)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(len(found) - 1, 0)))
        length = draw(st.integers(1, 16))
        kind = draw(st.sampled_from(["change", "remove", "double", "add", "truncate"]))
        part = found[start : start + length]
        if kind == "change":
            found[start : start + length] = draw(st.binary(min_size=len(part), max_size=len(part)))
        elif kind == "remove":
            del found[start : start + length]
        elif kind == "double":
            found[start:start] = part
        elif kind == "add":
            found[start:start] = draw(st.binary(max_size=length))
        else:
            del found[start:]
    return bytes(found)


def _places(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _places(child, (*path, key))


@st.composite
def damaged_json(draw, sample):
    """The text of a JSON document of which a value was replaced, removed or added; now and then nested deeply."""
    document = {"root": copy.deepcopy(sample)}
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([path for path in _places(document) if path]))
        parent = document
        for key in path[:-1]:
            parent = parent[key]
        kind = draw(st.sampled_from(["replace", "remove", "add", "nest"]))
        if kind == "replace" or len(path) == 1:
            parent[path[-1]] = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))
        elif kind == "remove":
            del parent[path[-1]]
        elif isinstance(parent, dict):
            parent[draw(st.text(max_size=5))] = (
                "@" if kind == "nest" else copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))
            )
    depth = draw(st.sampled_from([1, 100, 10_000]))
    text = json.dumps(document["root"]).replace('"@"', "[" * depth + "]" * depth)
    return text.encode(errors="surrogatepass")


def framed(header, blobs, version=2):
    """A message with an intact frame and checksum, around a header that need not be one."""
    prefix = struct.pack("<4sHI", b"FHEM", version, len(header))
    digest = hashlib.sha256(b"".join(blobs)).digest()
    return b"".join([prefix, header, *blobs, hashlib.sha256(prefix + header + digest).digest()])


def framed_tensor(header, content):
    """A message of a tensor with an intact frame and digest, around a header that need not be one."""
    prefix = tensor_messages._PREFIX.pack(b"FHET", 1, len(header))
    return prefix + tensor_messages._digest(header, memoryview(content)) + header + content
