"""Adversary: a worker. Goal: to fill the client's memory.

A body of 298 kB, compressed with gzip, took 600 MB where a response of 48 bytes was expected. Nothing compressed is
read now, and of anything else no more than the response can have.
"""

import gzip
import tracemalloc

import pytest
import torch

from fhe_estimators.exceptions import FHEError, ProtocolError
from fhe_estimators.lora import HTTPWorker
from tests.lora.served import RawServer, http

N_BYTES = 300_000_000


def peak_bytes(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def ask(server, n_outputs=16):
    worker = HTTPWorker(server.url, timeout_seconds=20)
    if hasattr(worker, "expect"):
        worker.expect({("layer", "forward"): n_outputs})
    with pytest.raises(FHEError) as found:
        worker.multiply("layer", "forward", torch.zeros((1, 3, 16), dtype=torch.int8))
    assert server.url in str(found.value)
    return found.value


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "GZIP", "identity, gzip"])
def test_compressed_responses_are_not_read(encoding):
    bomb = gzip.compress(bytes(N_BYTES), 9)
    with RawServer(lambda _: http(bomb, Content_Encoding=encoding)) as server:
        errors = []
        assert peak_bytes(lambda: errors.append(ask(server))) < 20_000_000
        assert isinstance(errors[0], ProtocolError) and "compressed" in str(errors[0])
        assert b"accept-encoding: identity" in server.requests[0].lower()


def test_no_more_is_read_than_a_response_can_have():
    part = bytes(1_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {N_BYTES}\r\n\r\n".encode()
    with RawServer(lambda _: [head, *[part] * (N_BYTES // len(part))]) as server:
        errors = []
        assert peak_bytes(lambda: errors.append(ask(server))) < 20_000_000
        assert isinstance(errors[0], ProtocolError) and "more than" in str(errors[0])


def test_no_more_is_read_of_an_error():
    part = bytes(1_000_000)
    head = f"HTTP/1.1 500 Error\r\nContent-Length: {N_BYTES}\r\n\r\n".encode()
    with RawServer(lambda _: [head, *[part] * (N_BYTES // len(part))]) as server:
        assert peak_bytes(lambda: ask(server, n_outputs=N_BYTES)) < 20_000_000  # whatever a product may have


def test_nor_of_a_list_of_layers():
    part = b" " * 1_000_000
    with RawServer(lambda _: [b"HTTP/1.1 200 OK\r\n\r\n", *[part] * (N_BYTES // len(part))]) as server:

        def register():
            with pytest.raises(ProtocolError, match="more than"):
                HTTPWorker(server.url).digests()

        assert peak_bytes(register) < 20_000_000
