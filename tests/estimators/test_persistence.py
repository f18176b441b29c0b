"""Pickles and copies hold the model and never a secret."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from fhe_estimators import estimators as module
from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.exceptions import DecryptionError
from tests.estimators.models import BACKENDS, ESTIMATORS, small


def joblib_round_trip(estimator):
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


ROUND_TRIPS = [lambda e: pickle.loads(pickle.dumps(e)), joblib_round_trip, copy.copy, copy.deepcopy]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("round_trip", ROUND_TRIPS, ids=["pickle", "joblib", "copy", "deepcopy"])
def test_the_client_stays_behind(round_trip, backend, classification):
    X, y = classification
    clf = small(module.FHEDecisionTreeClassifier, backend=backend).fit(X, y).compile()
    expected = clf.predict(X[:5], fhe="execute")
    assert "_process_parties" in vars(clf)
    restored = round_trip(clf)
    assert "_process_parties" not in vars(restored) and "_process_parties" in vars(clf)
    np.testing.assert_array_equal(restored.predict(X[:5], fhe="execute"), expected)
    assert restored._two_parties()[0] is not clf._two_parties()[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_pickle_does_not_change_with_keys(backend, classification):
    X, y = classification
    clf = small(module.FHEDecisionTreeClassifier, backend=backend).fit(X, y).compile()
    clf.predict(X[:5])
    before = pickle.dumps(clf)
    clf.predict(X[:5], fhe="execute")
    after = pickle.dumps(clf)
    assert len(after) == len(before)
    for secret in secrets_of(clf._two_parties()[0]):
        assert secret not in after


def secrets_of(client):
    """Pieces of what the client exports beyond its public evaluation keys."""
    public = client.evaluation_keys
    header, blobs = unpack_message("client_keys", client.export_keys())
    secrets = [bytes(blob) for blob in blobs if bytes(blob) not in public]
    assert secrets
    yield header["key_id"].encode()
    for secret in secrets:
        yield from (secret[start : start + 16] for start in range(0, len(secret) - 15, 5000))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_client_refuses_to_be_pickled(backend, classification):
    clf = small(module.FHEDecisionTreeClassifier, backend=backend).fit(*classification).compile()
    with pytest.raises(TypeError, match="secret key and cannot be pickled"):
        pickle.dumps(clf._two_parties()[0])


def test_keys_are_made_once_and_renewed_with_the_program(classification):
    X, y = classification
    clf = small(module.FHEDecisionTreeClassifier).fit(X, y).compile()
    clf.predict(X, fhe="execute")
    client = clf._two_parties()[0]
    clf.predict(X, fhe="execute")
    assert clf._two_parties()[0] is client
    assert clf.compile()._two_parties()[0] is not client
    assert "_process_parties" not in vars(clone(clf))


def test_keys_are_renewed_after_a_refusal(classification, monkeypatch):
    X, y = classification
    clf = small(module.FHEDecisionTreeClassifier, backend="ckks").fit(X, y).compile()
    client, evaluator = clf._two_parties()
    monkeypatch.setattr(evaluator, "run", lambda request, keys: response_under_other_keys(clf, request))
    with pytest.raises(DecryptionError, match="retired"):
        clf.predict(X[:5], fhe="execute")
    np.testing.assert_array_equal(clf.predict(X[:5], fhe="execute"), clf.predict(X[:5]))
    assert clf._two_parties()[0] is not client


def response_under_other_keys(clf, request):
    """A forgery: a stranger's scores under the names of a request."""
    stranger = clf.backend_.client(clf.program_.client_spec)
    keys = stranger.generate_keys()
    codes = np.zeros((5, clf.n_features_in_), dtype=np.int32)
    _, ciphertexts = unpack_message("response", clf.backend_.evaluator(clf.program_).run(stranger.encrypt(codes), keys))
    header, _ = unpack_message("request", request)
    return pack_message("response", header, ciphertexts)


def test_another_process_makes_its_own_keys(classification, monkeypatch):
    X, y = classification
    clf = small(module.FHEDecisionTreeClassifier).fit(X, y).compile()
    client = clf._two_parties()[0]
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert clf._two_parties()[0] is not client


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_every_estimator_pickles(estimator_class, training_set):
    estimator = small(estimator_class).fit(*training_set).compile()
    restored = pickle.loads(pickle.dumps(estimator))
    X = training_set[0]
    np.testing.assert_array_equal(restored.predict(X, fhe="execute"), estimator.predict(X))
    assert restored.program_.client_spec.program_id == estimator.program_.client_spec.program_id


def test_compile_follows_a_changed_backend(classification):
    X, y = classification
    clf = small(module.FHEDecisionTreeClassifier, backend=BACKENDS[-1]).fit(X, y)
    clf.set_params(backend="clear").compile()
    assert clf.program_.backend == clf.backend_.name == "clear"
    np.testing.assert_array_equal(clf.predict(X, fhe="execute"), clf.predict(X))
