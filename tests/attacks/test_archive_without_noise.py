"""Adversary: whoever writes or alters a client archive. Goal: the secret key, from what the client sends.

Concrete reads the noise of every key and ciphertext from its parameters, which come with the archive. With all
variances at zero, what a client encrypts are linear equations in its key: elimination over GF(2) solved them from one
request.
"""

import dataclasses
import json

import numpy as np
import pytest

from fhe_estimators import FHEDecisionTreeClassifier
from fhe_estimators.exceptions import InsecureParametersError
from fhe_estimators.serving import FHEClient
from fhe_estimators.serving.archive import load_client_archive, save_client_archive

pytest.importorskip("concrete.fhe")


def without_noise(value):
    """The same parameters, every variance zero."""
    if isinstance(value, dict):
        return {name: 0.0 if name == "variance" else without_noise(each) for name, each in value.items()}
    return [without_noise(each) for each in value] if isinstance(value, list) else value


def test_a_client_makes_no_keys_without_noise(tmp_path):
    X = np.random.default_rng(0).normal(size=(80, 3))
    clf = FHEDecisionTreeClassifier(max_depth=2, backend="tfhe", random_state=0).fit(X, X[:, 0] > 0).compile()
    clf.save_client(tmp_path / "honest")
    model = load_client_archive(tmp_path / "honest")
    specs = json.dumps(without_noise(json.loads(model.spec.arrays["specs"].tobytes()))).encode()
    arrays = {**model.spec.arrays, "specs": np.frombuffer(specs, dtype=np.uint8)}
    spoiled = dataclasses.replace(model, spec=dataclasses.replace(model.spec, arrays=arrays))
    save_client_archive(tmp_path / "spoiled", spoiled)
    with pytest.raises(InsecureParametersError, match="noise of standard deviation 0 "):
        FHEClient.load(tmp_path / "spoiled").generate_keys()
    FHEClient.load(tmp_path / "honest").generate_keys()
