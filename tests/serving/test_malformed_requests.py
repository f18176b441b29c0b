"""Whatever is sent to a service is answered or refused, and never breaks it."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

import httpx

from fhe_estimators.backends.messages import pack_message, unpack_message
from tests.serving.served import ALICE, Command, code, predict, registered

#: In the default run, and in the slow one.
COUNTS = [150, pytest.param(5000, marks=pytest.mark.slow)]


def examples(n):
    """The settings of a test with so many examples, the same ones in each run if they are many."""
    return settings(
        max_examples=n, deadline=None, suppress_health_check=list(HealthCheck), derandomize=n > 1000, database=None
    )


def bodies(message):
    """Random bytes, and messages with some of them changed."""
    changed = st.tuples(st.integers(0, len(message) - 1), st.binary(min_size=1, max_size=8)).map(
        lambda change: message[: change[0]] + change[1] + message[change[0] + len(change[1]) :]
    )
    headers = st.dictionaries(st.text(max_size=9), st.none() | st.booleans() | st.integers() | st.text(), max_size=4)
    packed = st.builds(pack_message, st.sampled_from(["request", "evaluation_keys"]), headers, st.just([b"x"]))
    return st.binary(max_size=100) | changed | packed


@pytest.fixture
def command(folder, model, tmp_path):
    """A service in a process of its own, whose memory is its own."""
    (tmp_path / "tokens").write_text("alice token-of-alice\n")
    with (
        Command(folder / "model.server.fhe", "--processes", 1, "--token-file", tmp_path / "tokens") as command,
        httpx.Client(base_url=command.url, timeout=60, trust_env=False) as http,
    ):
        yield command, http


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as file:
        return 4096 * int(file.read().split()[1])


@pytest.mark.parametrize("n", COUNTS)
def test_no_operation_of_the_document_fails(command, client, request_of_one_row, n):
    """Whatever is sent to whatever the OpenAPI document lists: refused, with a status that it lists; no growth."""
    command, http = command
    document = http.get("/openapi.json").json()
    operations = [(path, method) for path, methods in document["paths"].items() for method in methods]
    keys_id = registered(http, client)

    def send(data):
        path, method = data.draw(st.sampled_from(sorted(operations)))
        some_name = st.sampled_from(["model", "other", keys_id]) | st.from_regex(r"[\w.%-]{1,80}", fullmatch=True)
        url = path.replace("{name}", data.draw(some_name)).replace("{keys_id}", data.draw(some_name))
        content = data.draw(bodies(request_of_one_row)) if method == "post" else None
        headers = {**ALICE, **data.draw(st.sampled_from([{}, {"Request-Timeout": "1e5"}, {"Content-Encoding": "br"}]))}
        response = http.request(method, url, params={"keys": data.draw(some_name)}, content=content, headers=headers)
        listed = {int(status) for status in document["paths"][path][method]["responses"]}
        assert response.status_code in listed | {404, 405, 422}
        assert response.status_code < 500

    examples(max(100, n // 10))(given(data=st.data())(send))()
    before = resident_bytes(command.process.pid)
    examples(n)(given(data=st.data())(send))()
    assert resident_bytes(command.process.pid) - before < 30_000_000
    assert command.process.poll() is None


@pytest.mark.parametrize("n", [60, pytest.param(5000, marks=pytest.mark.slow)])
def test_changed_messages_are_malformed(service, client, request_of_one_row, n):
    scoring, _, http = service
    keys_id = registered(http, client)
    deaths = scoring.pool._deaths._value.get()

    @given(data=st.data())
    def send(data):
        content = data.draw(bodies(request_of_one_row))
        assert predict(http, keys_id, content).status_code in (200, 400, 413)

    examples(n)(send)()
    assert scoring.pool._deaths._value.get() == deaths


@pytest.mark.parametrize("n", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_schemathesis(command, n):
    """Requests that the document's schemas give, and requests that they exclude."""
    schemathesis = pytest.importorskip("schemathesis")
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

    command, http = command
    schema = schemathesis.openapi.from_dict(http.get("/openapi.json").json())
    checks = [not_a_server_error, status_code_conformance, response_schema_conformance]
    for mode in schemathesis.GenerationMode:
        for operation in schema.get_all_operations():

            @examples(n)
            @given(case=operation.ok().as_strategy(generation_mode=mode))
            def send(case):
                response = case.call(base_url=command.url, headers={**case.headers, **ALICE})
                if response.status_code not in (404, 405, 422):  # of paths that no route has
                    case.validate_response(response, checks=checks)

            with suppress(Unsatisfiable):  # nothing can be wrong about operations without parameters
                send()
    assert command.process.poll() is None


def test_ciphertexts_that_no_encryption_gives(service, client, model):
    _, _, http = service
    header, blobs = unpack_message("request", client.encrypt(model[1][:1]))
    for forged in ([], [b""], [bytes(len(blob)) for blob in blobs], [*blobs, blobs[0]], [bytes(blobs[0])[:-1]]):
        response = predict(http, registered(http, client), pack_message("request", header, forged))
        assert code(response) == (400, "malformed")
    for change in ({"request_id": None}, {"batches": [[10**9, 0]]}, {"batches": "x"}, {"key_id": []}):
        response = predict(http, registered(http, client), pack_message("request", {**header, **change}, blobs))
        assert response.status_code in (400, 413)
