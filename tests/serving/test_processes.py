"""The server half in a Python process that never had the secret key."""

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from fhe_estimators import FHEGradientBoostingClassifier
from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.exceptions import DecryptionError, KeyMismatchError, ProtocolError
from fhe_estimators.serving import FHEClient, FHEServer

SERVER = """
import json, sys
from pathlib import Path
from fhe_estimators.serving import FHEServer

folder = Path(sys.argv[1])
server = FHEServer.load(folder / "server.fhe")
response = server.run((folder / "request").read_bytes(), (folder / "keys").read_bytes())
(folder / "response").write_bytes(response)
loaded = sorted(name for name in sys.modules if name.startswith("fhe_estimators"))
print(json.dumps({"loaded": loaded, "security_bits": server.describe()["security_bits"]}))
"""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """A folder of what crosses the wire, the client, the rows and the expected labels."""
    X, y = load_breast_cancer(return_X_y=True)
    clf = FHEGradientBoostingClassifier(10, max_depth=3, backend="ckks", random_state=0).fit(X[::2], y[::2]).compile()
    folder = tmp_path_factory.mktemp("wire")
    clf.save_server(folder / "server.fhe")
    clf.save_client(folder / "client.fhe")
    client = FHEClient.load(folder / "client.fhe")
    (folder / "keys").write_bytes(client.generate_keys())
    (folder / "request").write_bytes(client.encrypt(X))
    run = subprocess.run([sys.executable, "-c", SERVER, str(folder)], capture_output=True, text=True, check=True)
    return folder, client, clf, X, json.loads(run.stdout)


def test_the_answer_is_exact(deployment):
    folder, client, clf, X, _ = deployment
    response = (folder / "response").read_bytes(), (folder / "request").read_bytes()
    np.testing.assert_array_equal(client.decrypt_scores(*response), clf.decision_function(X))
    np.testing.assert_array_equal(client.decrypt_predict(*response), clf.estimator_.predict(X))


def test_the_server_loads_no_code_that_decrypts(deployment):
    loaded = deployment[-1]["loaded"]
    assert "fhe_estimators.backends.ckks.evaluator" in loaded
    assert not [name for name in loaded if "client" in name.split(".")]
    assert not [name for name in loaded if name.startswith("fhe_estimators.estimators")]
    assert deployment[-1]["security_bits"] >= 128


def test_nothing_on_the_wire_is_a_row_or_a_result(deployment):
    folder, _, clf, X, _ = deployment
    bits = (clf.quantizer_.transform(X) > 0).astype(np.float64)
    for name in ("request", "keys", "response"):
        content = (folder / name).read_bytes()
        assert X[0].tobytes() not in content and bits[:, 0].tobytes() not in content
        # Ciphertexts look uniform: every byte value about equally often, SEAL's headers apart.
        counts = np.bincount(np.frombuffer(content, dtype=np.uint8), minlength=256) / len(content)
        assert counts.max() < 0.03, name


def test_the_same_rows_never_encrypt_to_the_same_bytes(deployment):
    _, client, _, X, _ = deployment
    first, second = client.encrypt(X[:1]), client.encrypt(X[:1])
    half = min(len(first), len(second)) // 2
    same = np.frombuffer(first[-half:], np.uint8) == np.frombuffer(second[-half:], np.uint8)
    assert same.mean() < 0.05


def disguised(message, kind, **header):
    """A message with other identifiers in its header: what a forger can write."""
    fields, blobs = unpack_message(kind, message)
    return pack_message(kind, {**fields, **header}, blobs)


def test_another_client_cannot_read_the_answer(deployment):
    folder, _, _, X, _ = deployment
    other = FHEClient.load(folder / "client.fhe")
    keys, request = other.generate_keys(), other.encrypt(X)
    response = (folder / "response").read_bytes()
    with pytest.raises(KeyMismatchError, match="other keys"):
        other.decrypt_predict(response)
    # Even under the right names: what it decrypts is garbage, and is refused.
    identity, _ = unpack_message("response", FHEServer.load(folder / "server.fhe").run(request, keys))
    with pytest.raises(DecryptionError, match="no sum of leaves"):
        other.decrypt_predict(disguised(response, "response", **identity))


def test_keys_of_another_client_are_refused_or_give_garbage(deployment):
    folder, _, _, X, _ = deployment
    server = FHEServer.load(folder / "server.fhe")
    client, other = FHEClient.load(folder / "client.fhe"), FHEClient.load(folder / "client.fhe")
    own, foreign = client.generate_keys(), other.generate_keys()
    request = client.encrypt(X[:50])
    with pytest.raises(KeyMismatchError, match="other keys"):
        server.run(request, foreign)
    # The client's name on keys that belong to another secret.
    forged = disguised(foreign, "evaluation_keys", key_id=unpack_message("evaluation_keys", own)[0]["key_id"])
    with pytest.raises(DecryptionError, match="no sum of leaves"):
        client.decrypt_predict(server.run(request, forged))


def test_an_answer_of_another_model_is_refused(deployment, tmp_path):
    _, client, _, X, _ = deployment
    y = (X[:, 0] > 15).astype(int)
    other = FHEGradientBoostingClassifier(3, max_depth=2, random_state=0).fit(X, y).compile()
    other.save_server(tmp_path / "server.fhe")
    with pytest.raises(KeyMismatchError, match="another model"):
        FHEServer.load(tmp_path / "server.fhe").run(client.encrypt(X[:3]), client.evaluation_keys)


@pytest.mark.parametrize("name", ["request", "keys", "response"])
def test_damaged_messages_are_refused(deployment, name):
    folder, client, _, _, _ = deployment
    server = FHEServer.load(folder / "server.fhe")
    message = {part: (folder / part).read_bytes() for part in ("request", "keys", "response")}
    rng = np.random.default_rng(0)
    original = message[name]
    damaged = [original[:0], original[:100], original[:-1], original + b"0"]
    for position in rng.integers(len(original), size=10):
        flipped = bytearray(original)
        flipped[position] ^= 1
        damaged.append(bytes(flipped))
    for message[name] in damaged:
        with pytest.raises(ProtocolError, match=r"truncated|altered|version|malformed"):
            client.decrypt_predict(
                message["response"] if name == "response" else server.run(message["request"], message["keys"])
            )


def test_servers_that_rerandomize(deployment):
    folder, client, clf, X, _ = deployment
    server = FHEServer.load(folder / "server.fhe", rerandomize=True)
    request = client.encrypt(X[:20])
    responses = [server.run(request, client.evaluation_keys) for _ in range(2)]
    assert responses[0] != responses[1]
    np.testing.assert_array_equal(client.decrypt_scores(responses[0], request), clf.decision_function(X[:20]))
