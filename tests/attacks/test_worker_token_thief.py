"""Adversary: a worker, or whoever listens on the way. Goal: the token of another worker.

One environment variable's token went to every URL, over plain HTTP too, and through the proxies of the environment.
"""

import pytest

from fhe_estimators.exceptions import WorkerError
from fhe_estimators.lora import HTTPWorker, LocalWorker
from tests.attacks.fine_tuning import tuner, weights
from tests.lora.served import RawServer, http

SECRET = "c0ffee-the-token"


@pytest.fixture
def curious():
    with RawServer(lambda _: http(b'{"protocol_version": 1, "layers": {}}')) as server:
        yield server
        assert server.requests
        assert not any(SECRET.encode() in request for request in server.requests)


@pytest.mark.parametrize("wrap", [str, HTTPWorker])
def test_the_environments_token_goes_to_none_of_several_workers(curious, wrap, monkeypatch):
    monkeypatch.setenv("FHE_ESTIMATORS_TOKEN", SECRET)
    with RawServer(lambda _: http(b"{}")) as other:
        workers = [wrap(curious.url), wrap(other.url), LocalWorker(weights())]
        with pytest.warns(RuntimeWarning) as warned:
            tuner(workers=workers).compile()
        assert "FHE_ESTIMATORS_TOKEN is for a client's only worker" in str(warned[0].message)
        assert not any(SECRET.encode() in request for request in other.requests)


def test_a_workers_own_token_goes_to_no_other(curious):
    with RawServer(lambda _: http(b'{"protocol_version": 1, "layers": {}}')) as other:
        workers = [HTTPWorker(other.url, token=SECRET), HTTPWorker(curious.url), LocalWorker(weights())]
        tuner(workers=workers).compile()
        assert all(SECRET.encode() in request for request in other.requests)


def test_redirects_are_not_followed(curious):
    moved = RawServer(lambda _: http(b"", "307 Moved", Location=f"{curious.url}/v1/layers"))
    with moved as other, pytest.raises(WorkerError, match="not followed"):
        HTTPWorker(other.url, token=SECRET).digests()
    with pytest.raises(WorkerError):
        HTTPWorker(curious.url + "/?next=").digests()
    HTTPWorker(curious.url).digests()


def test_proxies_do_not_see_what_goes_to_this_machine(curious, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, curious.url)
    with RawServer(lambda _: http(b'{"protocol_version": 1, "layers": {}}')) as server:
        HTTPWorker(server.url, token=SECRET).digests()
        assert server.requests
    HTTPWorker(curious.url).digests()


@pytest.mark.parametrize(
    "url", ["http://worker.example:8400", "HTTP://10.0.0.1", "http://localhost.example", "http://0x7f.1"]
)
@pytest.mark.parametrize("source", ["argument", "environment", "file"])
def test_no_token_crosses_a_network_in_the_clear(url, source, monkeypatch, tmp_path):
    monkeypatch.delenv("FHE_ESTIMATORS_TOKEN", raising=False)
    if source == "environment":
        monkeypatch.setenv("FHE_ESTIMATORS_TOKEN", SECRET)
    if source == "file":
        (tmp_path / "tokens").write_text(f'{{"{url}": "{SECRET}"}}')
        (tmp_path / "tokens").chmod(0o600)
        monkeypatch.setenv("FHE_ESTIMATORS_TOKENS_FILE", str(tmp_path / "tokens"))
    token = SECRET if source == "argument" else None
    with pytest.raises(ValueError, match="plain HTTP") as found:
        HTTPWorker(url, token=token)
    assert SECRET not in str(found.value)
    HTTPWorker(url, token=token, allow_insecure_token=True)
    for safe in ("http://127.0.0.1:8400", "http://localhost", "http://[::1]:8400", "https://worker.example"):
        HTTPWorker(safe, token=SECRET)
