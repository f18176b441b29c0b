"""Adversary: a worker that sends nonsense for the list of its layers. Goal: to end a run that a good worker could do.

Each of these ended it by an error of a parser or of Python.
"""

import json

import pytest

from fhe_estimators.lora import HTTPWorker, LocalWorker
from tests.attacks.fine_tuning import TEXTS, tuner, weights
from tests.lora.served import RawServer, http

NAME = "layers.0.self_attn.q_proj+k_proj+v_proj"
BODIES = {
    "html": b"<html><body>Welcome</body></html>",
    "no json": b"\x00\x01garbage",
    "empty": b"",
    "not utf-8": b'{"protocol_version": 1, "layers": {"\xff": "a"}}',
    "no layers": b'{"protocol_version": 1}',
    "layers null": b'{"protocol_version": 1, "layers": null}',
    "layers list": b'{"protocol_version": 1, "layers": [1]}',
    "digests numbers": json.dumps({"protocol_version": 1, "layers": {NAME: 5}}).encode(),
    "digest short": json.dumps({"protocol_version": 1, "layers": {NAME: "abc"}}).encode(),
    "a list": b"[1]",
    "nested lists": b"[" * 10_000 + b"]" * 10_000,
    "nested objects": b'{"layers":' * 10_000 + b"1" + b"}" * 10_000,
    "nested value": b'{"protocol_version": 1, "layers": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "infinity": b'{"protocol_version": Infinity, "layers": {}}',
    "nan": b'{"protocol_version": NaN, "layers": {}}',
    "1e999": b'{"protocol_version": 1e999, "layers": {}}',
    "version true": b'{"protocol_version": true, "layers": {}}',
    "huge integer": b'{"protocol_version": ' + b"9" * 10_000 + b', "layers": {}}',
    "shapes": json.dumps({"protocol_version": 1, "layers": {}, "shapes": {NAME: [1e9, -1]}}).encode(),
    "release": json.dumps({"protocol_version": 1, "layers": {}, "release": "\x1b[2J"}).encode(),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_good_worker_does_the_run(name):
    with RawServer(lambda _: http(BODIES[name])) as server:
        workers = [HTTPWorker(server.url), LocalWorker(weights())]
        with pytest.warns(RuntimeWarning, match=f"Worker {server.url} failed"):
            fitted = tuner(workers=workers, max_steps=1).fit(TEXTS)
    assert len(fitted.history_) == 1


@pytest.mark.parametrize(
    "url", ["worker.example", "htp://worker", "http://[::1", "http://x y", "https://", "http://h:p"]
)
def test_so_it_does_beside_a_bad_url(url):
    with pytest.warns(RuntimeWarning, match="failed"):
        fitted = tuner(workers=[url, LocalWorker(weights())]).compile()
    assert len(fitted.program_.pool().failures_) == 1


def test_training_goes_on_beside_one():
    with RawServer(lambda _: http(BODIES["html"])) as server, pytest.warns(RuntimeWarning, match="web page"):
        fitted = tuner(workers=[server.url, LocalWorker(weights())], max_steps=1).fit(TEXTS)
    assert len(fitted.history_) == 1
