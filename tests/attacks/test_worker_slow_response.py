"""Adversary: a worker. Goal: to hold a client for ever.

A time-out that begins anew with every byte never passes while a byte comes now and then, of the head or of the body.
"""

import time

import pytest

from fhe_estimators.exceptions import WorkerError
from fhe_estimators.lora import HTTPWorker
from tests.lora.served import RawServer


def drip(head, byte):
    yield head
    for _ in range(200):
        time.sleep(0.1)
        yield byte


HEADS = {
    "status": (b"HTTP/1.1 200 OK\r\nX-", b"a"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", b" "),
    "error": (b"HTTP/1.1 500 Error\r\nContent-Length: 1000\r\n\r\n", b" "),
}


@pytest.mark.parametrize("part", HEADS)
def test_a_request_ends_in_time(part, monkeypatch):
    monkeypatch.setattr("fhe_estimators.lora.client.http.MAX_REGISTRATION_BYTES", 1000)
    with RawServer(lambda _: drip(*HEADS[part])) as server:
        start = time.monotonic()
        with pytest.raises(WorkerError, match=f"{server.url} did not answer in time"):
            HTTPWorker(server.url, timeout_seconds=0.5).digests()
        assert time.monotonic() - start < 5
