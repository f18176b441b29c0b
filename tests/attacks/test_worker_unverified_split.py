"""Adversary: a worker that computes nothing. Goal: that a client who asked for checks trains on random bytes.

A model split with ``--no-verify`` has no check vectors, and its client no weights to make them from. ``verify=True``
then checked nothing, and said nothing.
"""

import pytest
import torch

from fhe_estimators.cli import main
from fhe_estimators.lora import LocalWorker
from tests.attacks.fine_tuning import TEXTS, model, tuner, weights


class Lazy(LocalWorker):
    def multiply(self, layer, direction, ciphertexts):
        response, seconds = super().multiply(layer, direction, ciphertexts)
        return torch.randint(-128, 128, response.shape, dtype=torch.int8), seconds


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("split")
    model().save_pretrained(folder / "model")
    return folder


def test_a_client_that_cannot_check_does_not_train(folder):
    assert main(["split", str(folder / "model"), "--out", str(folder / "none"), "--no-verify"]) == 0
    client = str(folder / "none" / "client")
    with pytest.raises(ValueError, match=r"--no-verify.*Split it again, or pass verify=False"):
        tuner(client, workers=[Lazy(weights())]).fit(TEXTS)
    honest = tuner(client, workers=[LocalWorker(weights())], verify=False).fit(TEXTS)
    assert honest.program_.describe()["verified"] == 0


def test_a_client_that_can_check_less_than_asked_does_not_train(folder):
    assert main(["split", str(folder / "model"), "--out", str(folder / "weak"), "--verify-bits", "20"]) == 0
    client = str(folder / "weak" / "client")
    with pytest.raises(ValueError, match=r"verify_bits=40.*split with 20 bits.*--verify-bits 40"):
        tuner(client, workers=[Lazy(weights())]).fit(TEXTS)
    fitted = tuner(client, workers=[LocalWorker(weights())], verify_bits=20).fit(TEXTS)
    assert fitted.program_.describe()["verified"] == 20


@pytest.mark.parametrize("bits", ["0", "1", "19", "-40"])
def test_no_split_is_made_with_checks_that_are_none(folder, bits, capsys):
    assert main(["split", str(folder / "model"), "--out", str(folder / "bad"), "--verify-bits", bits]) == 1
    assert "at least 20" in capsys.readouterr().err


@pytest.mark.parametrize("bits", [0, 1, 19, 40.5, None, True])
def test_no_tuner_runs_with_checks_that_are_none(bits):
    with pytest.raises(ValueError, match="verify_bits"):
        tuner(verify_bits=bits).compile()
    with pytest.raises(TypeError):
        tuner(n_checks=bits)
