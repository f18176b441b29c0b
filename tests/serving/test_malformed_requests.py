"""Whatever is sent to a service is answered or refused, and never breaks it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

from fhe_estimators.backends.messages import pack_message, unpack_message
from tests.serving.served import ALICE, code, predict, registered


def bodies(message):
    """Random bytes, and messages with some of them changed."""
    changed = st.tuples(st.integers(0, len(message) - 1), st.binary(min_size=1, max_size=8)).map(
        lambda change: message[: change[0]] + change[1] + message[change[0] + len(change[1]) :]
    )
    headers = st.dictionaries(st.text(max_size=9), st.none() | st.booleans() | st.integers() | st.text(), max_size=4)
    packed = st.builds(pack_message, st.sampled_from(["request", "evaluation_keys"]), headers, st.just([b"x"]))
    return st.binary(max_size=100) | changed | packed


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_operation_of_the_document_fails(service, client, request_of_one_row, data):
    """Whatever is sent to whatever the OpenAPI document lists: refused, with a status that it lists."""
    _, _, http = service
    document = http.get("/openapi.json").json()
    operations = [(path, method) for path, methods in document["paths"].items() for method in methods]
    path, method = data.draw(st.sampled_from(sorted(operations)))
    keys_id = registered(http, client)
    some_name = st.sampled_from(["model", "other", keys_id]) | st.from_regex(r"[\w.%-]{1,80}", fullmatch=True)
    url = path.replace("{name}", data.draw(some_name)).replace("{keys_id}", data.draw(some_name))
    content = data.draw(bodies(request_of_one_row)) if method == "post" else None
    headers = {**ALICE, **data.draw(st.sampled_from([{}, {"Request-Timeout": "1e5"}, {"Content-Encoding": "br"}]))}
    response = http.request(method, url, params={"keys": data.draw(some_name)}, content=content, headers=headers)
    listed = {int(status) for status in document["paths"][path][method]["responses"]}
    assert response.status_code in listed | {404, 405, 422}
    assert response.status_code < 500


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_changed_messages_are_malformed(service, client, request_of_one_row, data):
    _, _, http = service
    content = data.draw(bodies(request_of_one_row))
    assert predict(http, registered(http, client), content).status_code in (200, 400, 413)


def test_ciphertexts_that_no_encryption_gives(service, client, model):
    _, _, http = service
    header, blobs = unpack_message("request", client.encrypt(model[1][:1]))
    for forged in ([], [b""], [bytes(len(blob)) for blob in blobs], [*blobs, blobs[0]], [bytes(blobs[0])[:-1]]):
        response = predict(http, registered(http, client), pack_message("request", header, forged))
        assert code(response) == (400, "malformed")
    for change in ({"request_id": None}, {"batches": [[10**9, 0]]}, {"batches": "x"}, {"key_id": []}):
        response = predict(http, registered(http, client), pack_message("request", {**header, **change}, blobs))
        assert response.status_code in (400, 413)
