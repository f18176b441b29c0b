"""Adversary: a worker that gets hold of a pickled tuner. Goal: the check vectors, to answer wrongly unnoticed."""

import copy
import gc
import io
import pickle

import joblib
import pytest
import torch

from fhe_estimators.cli import main
from fhe_estimators.exceptions import ProtocolError
from fhe_estimators.lora import HTTPWorker, LocalWorker
from tests.attacks.fine_tuning import TEXTS, model, tuner, weights


def secrets():
    """Bytes of every tensor of every check that is in memory."""
    checks = [found for found in gc.get_objects() if type(found).__name__ == "ProductCheck"]
    tensors = [value for check in checks for value in vars(check).values() if isinstance(value, torch.Tensor)]
    return [tensor.contiguous().numpy().tobytes() for tensor in tensors] + [
        value for check in checks for value in vars(check).values() if isinstance(value, bytes)
    ]


def dumped(obj):
    buffer = io.BytesIO()
    joblib.dump(obj, buffer)
    return [buffer.getvalue(), pickle.dumps(obj)]


def test_pickles_of_a_tuner_hold_no_check_vectors():
    fitted = tuner(workers=[LocalWorker(weights())]).fit(TEXTS)
    assert len(secrets()) > 8
    for content in dumped(fitted):
        assert not any(secret in content for secret in secrets())


def test_what_was_copied_checks_with_vectors_of_its_own():
    fitted = tuner().fit(TEXTS)
    expected = fitted.perplexity(TEXTS)
    for copied in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert copied.program_.describe()["verified"] == 40
        assert copied.perplexity(TEXTS) == pytest.approx(expected)
        assert copied.perplexity(TEXTS, fhe="execute") == pytest.approx(expected, rel=0.01)
    pickle.dumps(tuner(workers=[HTTPWorker("https://worker.example", token="secret")]))


def test_a_split_client_takes_them_from_its_secret_file_or_says_which(tmp_path):
    model().save_pretrained(tmp_path / "model")
    main(["split", str(tmp_path / "model"), "--out", str(tmp_path / "parts")])
    client = tmp_path / "parts" / "client"
    fitted = tuner(str(client), workers=[LocalWorker(weights())]).fit(TEXTS)
    content = pickle.dumps(fitted)
    assert not any(secret in content for secret in secrets())
    pickle.loads(content).fit(TEXTS)
    (client / "fhe_checks.safetensors").rename(tmp_path / "elsewhere")
    with pytest.raises(
        ProtocolError, match=r"fhe_checks.safetensors, the client's secret check vectors, cannot be read"
    ):
        pickle.loads(content).fit(TEXTS)
