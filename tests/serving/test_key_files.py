"""Keys in files: encrypted, authenticated, and of use to another client of the same model."""

import hashlib
import stat

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sklearn.datasets import load_iris

from fhe_estimators import FHEDecisionTreeClassifier
from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.exceptions import FHEError, KeyMismatchError, ProtocolError
from fhe_estimators.serving import FHEClient
from fhe_estimators.serving.client.key_file import write_key_file
from tests.serving.deployments import deploy

X, Y = load_iris(return_X_y=True)


@pytest.fixture(params=["clear", "ckks"])
def tree(request):
    return FHEDecisionTreeClassifier(max_depth=3, backend=request.param, random_state=0).fit(X, Y).compile()


def test_a_restarted_client_decrypts_what_the_first_one_asked(tree, tmp_path):
    client, server = deploy(tree, tmp_path)
    keys = client.generate_keys()
    request = client.encrypt(X[::10])
    response = server.run(request, keys)
    client.save_keys(tmp_path / "keys.fhe", "correct horse")
    restarted = FHEClient.load(tmp_path / "client.fhe")
    restarted.load_keys(tmp_path / "keys.fhe", "correct horse")
    np.testing.assert_array_equal(restarted.decrypt_predict(response, request), tree.predict(X[::10]))
    response = server.run(restarted.encrypt(X[::7]), keys)
    np.testing.assert_array_equal(restarted.decrypt_predict(response), tree.predict(X[::7]))


def test_the_file_is_private_and_holds_nothing_in_the_clear(tree, tmp_path):
    client, _ = deploy(tree, tmp_path)
    client.generate_keys()
    path = tmp_path / "keys.fhe"
    client.save_keys(path, "one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    header, blobs = unpack_message("client_keys", client._client.export_keys())
    pieces = [bytes(blob[start : start + 16]) for blob in blobs for start in range(64, len(blob), 5000)]
    written = path.read_bytes()
    assert not any(piece in written for piece in [header["key_id"].encode(), *pieces])
    client.save_keys(path, "one")
    assert path.read_bytes() != written  # another salt and nonce
    with pytest.raises(ProtocolError, match="password is wrong"):
        client.load_keys(path, "two")


def test_damaged_and_foreign_files_are_refused(tree, tmp_path):
    client, _ = deploy(tree, tmp_path)
    client.generate_keys()
    path = tmp_path / "keys.fhe"
    client.save_keys(path, "one")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ProtocolError, match="truncated"):
        client.load_keys(path, "one")
    _, (salt, nonce, sealed) = unpack_message("encrypted_client_keys", whole)
    altered = bytes([sealed[0] ^ 1]) + bytes(sealed[1:])
    path.write_bytes(pack_message("encrypted_client_keys", {}, [bytes(salt), bytes(nonce), altered]))
    with pytest.raises(ProtocolError, match="altered"):
        client.load_keys(path, "one")
    path.write_bytes(pack_message("encrypted_client_keys", {}, [bytes(salt), bytes(sealed)]))
    with pytest.raises(ProtocolError, match="malformed"):
        client.load_keys(path, "one")
    with pytest.raises(FileNotFoundError):
        client.load_keys(tmp_path / "nothing.fhe", "one")


def test_keys_of_another_model_are_refused(tree, tmp_path):
    client, _ = deploy(tree, tmp_path)
    client.generate_keys()
    client.save_keys(tmp_path / "keys.fhe", "one")
    other = FHEDecisionTreeClassifier(max_depth=1, backend=tree.backend).fit(X, Y).compile()
    other_client, _ = deploy(other, tmp_path)
    with pytest.raises(KeyMismatchError, match="another model"):
        other_client.load_keys(tmp_path / "keys.fhe", "one")


def test_keys_and_a_password_are_needed(tree, tmp_path):
    client, _ = deploy(tree, tmp_path)
    with pytest.raises(FHEError, match="generate_keys"):
        client.save_keys(tmp_path / "keys.fhe", "one")
    client.generate_keys()
    for password in ("", None, b"bytes"):
        with pytest.raises(ValueError, match="password must be a string"):
            client.save_keys(tmp_path / "keys.fhe", password)
    assert not (tmp_path / "keys.fhe").exists()


def test_the_format_is_what_it_says(tmp_path):
    """Read with another implementation: scrypt at the cost that is documented, then AES-256-GCM."""
    path = tmp_path / "keys.fhe"
    write_key_file(path, b"keys", "one")
    _, (salt, nonce, sealed) = unpack_message("encrypted_client_keys", path.read_bytes())
    key = hashlib.scrypt(b"one", salt=bytes(salt), n=2**17, r=8, p=1, maxmem=2**28, dklen=32)
    assert AESGCM(key).decrypt(bytes(nonce), bytes(sealed), None) == b"keys"


def test_every_file_has_a_salt_and_nonce_of_its_own(tmp_path):
    path, found = tmp_path / "keys.fhe", []
    for _ in range(2):
        write_key_file(path, b"keys", "one")
        _, (salt, nonce, _) = unpack_message("encrypted_client_keys", path.read_bytes())
        assert len(salt) == 16 and len(nonce) == 12
        found += [bytes(salt), bytes(nonce)]
    assert len(set(found)) == 4 and all(any(piece) for piece in found)
