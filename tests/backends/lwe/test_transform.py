"""Products of polynomials by floating-point transforms are exact: by a bound, by measurement, at the extremes."""

import numpy as np
import pytest
import torch

from fhe_estimators.backends.lwe._randomness import public_matrix
from fhe_estimators.backends.lwe.client.kernels import TorchKernels
from fhe_estimators.backends.lwe.client.sampling import ternary_secret
from fhe_estimators.backends.lwe.client.transform import NegacyclicTransform, product_error_bound
from fhe_estimators.backends.lwe.parameters import PARAMETER_SETS, LWEParameters
from tests.backends.lwe.kernels import KINDS, kernels

SEED, SECRET_KEY = bytes([1]) * 32, bytes([2]) * 32
ALL_PARAMETERS = [
    LWEParameters(dimension, modulus_bits, 2 << k)
    for dimension, modulus_bits in PARAMETER_SETS.values()
    for k in range(dimension.bit_length() - 1)
]


def negacyclic_product(a, s):
    """Product of integer polynomials modulo ``X^d + 1``, exact for results below 2^63."""
    full = np.append(np.convolve(a.astype(np.int64), s.astype(np.int64)), 0)
    return full[: len(a)] - full[len(a) :]


def masks(client, words, secret):
    """Masks of all coefficients, modulo 2^32, shape (ring_degree, n_features)."""
    spectra, secret = client.spectra(words), client.secret_spectra(secret)
    n_features, _, degree = words.shape
    if isinstance(client, TorchKernels):
        return client._masks(spectra, secret, degree).numpy() % 2**32
    found = np.empty((degree, len(spectra) * client.loops.LANES), dtype=np.uint32)
    flat, *constants = client._masking(spectra, secret, n_features)
    client.loops.compute_masks(flat, (0, len(spectra)), *constants, found)
    return found[:, :n_features]


@pytest.mark.parametrize("parameters", ALL_PARAMETERS, ids=str)
def test_masks_are_exact_by_a_bound_on_all_rounding_errors(parameters):
    assert 0 < product_error_bound(parameters) < 1 / 2


@pytest.mark.parametrize("name", PARAMETER_SETS)
@pytest.mark.parametrize("degree", [8, 64, 1024])
def test_measured_rounding_errors_are_within_the_bound(name, degree):
    parameters = LWEParameters(*PARAMETER_SETS[name], degree)
    words = torch.from_numpy(public_matrix(SEED, parameters, 0, 16).view(np.int32))
    transform = NegacyclicTransform(degree)
    secret = torch.from_numpy(ternary_secret(SECRET_KEY, parameters))
    products = (transform.spectrum(words) * transform.spectrum(secret)).sum(dim=1)
    folded = torch.view_as_real(torch.fft.ifft(products, norm="forward") * transform.untwist)
    assert 0 < (folded - folded.round()).abs().max() < product_error_bound(parameters) / 20


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PARAMETER_SETS)
@pytest.mark.parametrize("degree", [2, 4, 8, 512, 1024])
def test_masks_are_exact_at_the_largest_values(kind, name, degree):
    """Larger than any sampled: secrets without a zero, words of the largest size and of different signs."""
    parameters = LWEParameters(*PARAMETER_SETS[name], degree)
    shape = (parameters.rank, degree)
    rng = np.random.default_rng(degree)
    signs = np.stack([np.ones(shape), -np.ones(shape), rng.choice([-1, 1], shape), (-1.0) ** np.indices(shape)[1]])
    words = np.where(signs > 0, 2**31 - 1, -(2**31)).astype(np.int32)
    client = kernels(kind, parameters)
    for secret in (np.ones(shape), -np.ones(shape), rng.choice([-1, 1], shape)):
        expected = [sum(negacyclic_product(a, s) for a, s in zip(row, secret, strict=True)) % 2**32 for row in words]
        found = masks(client, torch.from_numpy(words), secret.astype(np.int8))
        np.testing.assert_array_equal(found, np.stack(expected, axis=1))


@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_exact_at_the_largest_ring(kind):
    parameters = LWEParameters(*PARAMETER_SETS["precise"], 2048)
    words = np.full((2, 1, 2048), 2**31 - 1, dtype=np.int32)
    words[1] = public_matrix(SEED, parameters, 0, 1).view(np.int32)[0]
    for secret in (np.ones((1, 2048), dtype=np.int8), ternary_secret(SECRET_KEY, parameters)):
        expected = [negacyclic_product(row[0], secret[0]) % 2**32 for row in words]
        found = masks(kernels(kind, parameters), torch.from_numpy(words), secret)
        np.testing.assert_array_equal(found, np.stack(expected, axis=1))


def test_all_coefficients_or_only_the_first():
    """Fewer tokens than the ring has coefficients: the others are not written."""
    parameters = LWEParameters(*PARAMETER_SETS["fast"], 64)
    client = kernels("compiled", parameters)
    words = torch.from_numpy(public_matrix(SEED, parameters, 0, 16).view(np.int32))
    secret = ternary_secret(SECRET_KEY, parameters)
    whole = masks(client, words, secret)
    flat, *constants = client._masking(client.spectra(words), client.secret_spectra(secret), 16)
    for n_tokens in (1, 31, 33, 63):
        guarded = np.full((n_tokens + 1, 16), 12345, dtype=np.uint32)
        client.loops.compute_masks(flat, (0, 1), *constants, guarded[:n_tokens])
        np.testing.assert_array_equal(guarded[:n_tokens], whole[:n_tokens])
        assert (guarded[n_tokens] == 12345).all()


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("degree", [2, 4, 8, 64, 1024])
def test_compiled_spectra_are_those_of_torch(degree, single):
    parameters, n_features = LWEParameters(*PARAMETER_SETS["fast"], degree), 37
    words = torch.from_numpy(public_matrix(SEED, parameters, 0, n_features).view(np.int32))
    client = kernels("compiled", parameters)
    found = client.spectra(words, single=single).to(torch.float64)  # (n_groups, rank, half, 2, lanes)
    found = torch.view_as_complex(found.permute(0, 4, 1, 2, 3).flatten(0, 1).contiguous())
    expected = client.transform.spectrum(words)[..., client._order]
    scale = expected.abs().max()
    torch.testing.assert_close(found[:n_features] / scale, expected / scale, rtol=0, atol=1e-6 if single else 1e-14)
    assert not found[n_features:].any()
