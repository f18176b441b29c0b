"""The package makes, of the keys in a stored file, every value that the slow reference wrote there."""

import itertools

import numpy as np
import pytest
import torch

from fhe_estimators.backends.lwe import LWEParameters, WeightNorms
from fhe_estimators.backends.lwe._limbs import to_limbs
from fhe_estimators.backends.lwe._randomness import public_matrix
from fhe_estimators.backends.lwe.client import encryption
from fhe_estimators.backends.lwe.client.sampling import centred_binomial, noise_stream, ternary_secret
from fhe_estimators.backends.lwe.worker import compute_hint, multiply
from tests.backends.lwe import vectors
from tests.backends.lwe.kernels import KINDS, integers, kernels

VECTORS = vectors.read()


@pytest.fixture(params=VECTORS)
def name(request):
    return request.param


@pytest.fixture
def vector(name):
    return VECTORS[name]


def parameters_of(vector):
    return LWEParameters(vector["dimension"], vector["modulus_bits"], vector["ring_degree"])


def polynomials(rows):
    """Words of int32, shape (n_features, rank, ring_degree)."""
    return torch.from_numpy(
        np.array([[vectors.words(polynomial) for polynomial in row] for row in rows], dtype=np.uint32).view(np.int32)
    )


def limbs(ciphertexts):
    return to_limbs(torch.tensor(ciphertexts, dtype=torch.int64))


def weights_of(vector):
    return torch.tensor(vector["weights"], dtype=torch.int8)


def test_the_reference_makes_the_stored_vectors(name, vector):
    assert vectors.make(name) == vector


def test_the_reference_decrypts_to_the_products_and_small_noise(vector):
    unit = 2.0 ** (32 - vector["modulus_bits"])
    errors = np.array(vector["decrypted"]) / unit - np.array(vector["products"])
    bound = np.abs(weights_of(vector).int().numpy()).sum(axis=0) * (21 + 2.0 ** (vector["modulus_bits"] - 24) / 2)
    assert (np.abs(errors) <= bound).all()


def test_what_is_sampled(vector):
    parameters = parameters_of(vector)
    public = public_matrix(bytes.fromhex(vector["seed"]), parameters, 0, 2)
    assert np.array_equal(public.view(np.int32), polynomials(vector["public_matrix"]))
    secret = ternary_secret(bytes.fromhex(vector["secret_key"]), parameters)
    assert ["".join("-0+"[value + 1] for value in polynomial) for polynomial in secret] == vector["secret"]
    bits = torch.from_numpy(noise_stream(bytes.fromhex(vector["noise_key"]), 0, 1).view(np.uint8))
    assert centred_binomial(bits)[: len(vector["noise"])].tolist() == vector["noise"]


def test_what_the_worker_computes(vector):
    assert torch.equal(multiply(limbs(vector["ciphertexts"]), weights_of(vector)), limbs(vector["response"]))
    hint = compute_hint(weights_of(vector), bytes.fromhex(vector["seed"]), parameters_of(vector))
    assert torch.equal(hint, polynomials(vector["hint"]))


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_kernels_compute(vector, kind):
    client = kernels(kind, parameters_of(vector))
    secret = client.secret_spectra(ternary_secret(bytes.fromhex(vector["secret_key"]), parameters_of(vector)))
    messages, ones = torch.tensor(vector["messages"], dtype=torch.float32), torch.ones(len(vector["messages"]))
    noise_key = bytes.fromhex(vector["noise_key"])
    public = client.spectra(polynomials(vector["public_matrix"]))
    ciphertexts = client.encrypt(public, secret, noise_key, messages, ones)
    assert integers(ciphertexts).tolist() == vector["ciphertexts"]
    hint = client.spectra(polynomials(vector["hint"]))
    decrypted = client.decrypt(hint, secret, limbs(vector["response"]), torch.ones(3), ones)
    assert np.array_equal(decrypted.numpy(), np.array(vector["decrypted"], dtype=np.float32))


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_client_makes_of_the_vectors_keys(vector, kind, monkeypatch):
    """The keys come in the order of the vector, and the messages are those of the vector times one."""
    parameters, weights = parameters_of(vector), weights_of(vector)
    keys = itertools.chain([bytes.fromhex(vector[key]) for key in ("secret_key", "noise_key")])
    monkeypatch.setattr(encryption, "client_kernels", lambda parameters, device: kernels(kind, parameters))
    monkeypatch.setattr(encryption, "scales_of", lambda lengths, largest: torch.ones(len(lengths)))
    client = encryption.LWEClient(parameters, bytes.fromhex(vector["seed"]))
    monkeypatch.setattr(encryption, "new_key", lambda: next(keys))
    messages, norms = torch.tensor(vector["messages"], dtype=torch.float32), WeightNorms.of(weights)
    ciphertexts, secrets = client.encrypt(messages, norms)
    assert integers(ciphertexts).tolist() == vector["ciphertexts"]
    spectra = client.hint_spectra(polynomials(vector["hint"]))
    found = client.decrypt(limbs(vector["response"]), secrets, spectra, torch.ones(3)).double()
    exact = np.array(vector["decrypted"]) / 2.0 ** (32 - vector["modulus_bits"])
    single = 8 * client.noise.hint_deviation + 2.0**-23 * np.abs(exact)  # the hint's spectra, and the result
    assert (np.abs(found.numpy() - exact) <= single).all()
