"""The fast kernels equal the reference bit for bit."""

import functools
import inspect

import numpy as np
import pytest
import torch

from fhe_estimators.backends.lwe import select_parameters
from fhe_estimators.backends.lwe._limbs import from_limbs, to_ciphertexts, to_limbs, to_words
from fhe_estimators.backends.lwe._randomness import public_matrix
from fhe_estimators.backends.lwe.client import kernels as kernels_module
from fhe_estimators.backends.lwe.client.kernels import TorchKernels
from fhe_estimators.backends.lwe.client.sampling import ternary_secret
from fhe_estimators.backends.lwe.parameters import NOISE_BITS
from tests.backends.lwe import reference
from tests.backends.lwe.kernels import KINDS, integers, kernels

SEED, SECRET_KEY, NOISE_KEY = (bytes([i]) * 32 for i in (1, 2, 3))


def reference_scheme(parameters):
    return reference.Scheme(parameters.dimension, parameters.modulus_bits, parameters.ring_degree)


@functools.cache
def expected(parameters, n_tokens, n_features):
    """Values, scales, and what the reference makes of them."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n_tokens, n_features)).astype(np.float32)
    scales = rng.uniform(1, 1e5, n_tokens).astype(np.float32)
    messages = np.rint(values * scales[:, None]).astype(int).tolist()
    scheme = reference_scheme(parameters)
    ciphertexts = reference.encrypt(scheme, SEED, SECRET_KEY, NOISE_KEY, messages)
    public = [reference.public_row(scheme, SEED, feature) for feature in range(n_features)]
    return values, scales, ciphertexts, reference.decrypt(scheme, SECRET_KEY, public, ciphertexts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "n_tokens", "n_features"),
    [("fast", 1024, 3), ("fast", 100, 130), ("fast", 1, 17), ("precise", 64, 40), ("precise", 1500, 2)],
)
def test_encryption_and_decryption_equal_the_reference(kind, name, n_tokens, n_features):
    parameters = select_parameters(n_tokens, name=name)
    values, scales, ciphertexts, decrypted = expected(parameters, n_tokens, n_features)
    client = kernels(kind, parameters)
    spectra = client.spectra(torch.from_numpy(public_matrix(SEED, parameters, 0, n_features).view(np.int32)))
    secret = client.secret_spectra(ternary_secret(SECRET_KEY, parameters))

    found = client.encrypt(spectra, secret, NOISE_KEY, torch.from_numpy(values), torch.from_numpy(scales))
    np.testing.assert_array_equal(integers(found), ciphertexts)
    centred = client.decrypt(spectra, secret, found, torch.ones(n_features), torch.ones(n_tokens))
    np.testing.assert_array_equal(centred.numpy(), np.array(decrypted, dtype=np.float32))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_features", [1, 7, 8, 133])
def test_lengths_of_tokens(kind, n_features):
    values = torch.randn(5, n_features) * torch.logspace(-30, 30, 5)[:, None]
    values[1] = 0
    found = kernels(kind, select_parameters(5)).lengths(values)
    torch.testing.assert_close(found, values.double().norm(dim=1), rtol=1e-14, atol=0)


def test_spectra_of_fewer_features_are_refused():
    """The compiled loops would read beyond them."""
    parameters = select_parameters(64)
    client = kernels("compiled", parameters)
    spectra = client.spectra(torch.zeros(32, parameters.rank, 64, dtype=torch.int32))
    secret = client.secret_spectra(ternary_secret(SECRET_KEY, parameters))
    ciphertexts, scales = torch.zeros(64, 3, 33, dtype=torch.int8), torch.ones(64)
    other = kernels("compiled", select_parameters(32))
    for arguments in (
        (client, spectra, secret, ciphertexts, torch.ones(33)),
        (client, spectra, other.secret_spectra(ternary_secret(SECRET_KEY, other.parameters)), ciphertexts[..., :32]),
        (client, spectra[:, :-1], secret, ciphertexts[..., :32]),
    ):
        with pytest.raises(ValueError, match="are not those of 3"):
            arguments[0].decrypt(*arguments[1:4], torch.ones(33), scales)


@pytest.mark.parametrize("kind", KINDS)
def test_the_noise_follows_its_number_of_bits_in_the_same_process(kind, monkeypatch):
    """No constant of the noise is compiled into the loops, nor kept in their cache on disk."""
    parameters = select_parameters(2)
    client = kernels(kind, parameters)
    nothing = client.spectra(torch.zeros(300, parameters.rank, 2, dtype=torch.int32))
    secret = client.secret_spectra(ternary_secret(SECRET_KEY, parameters))
    for n_bits in (NOISE_BITS, 14, 56, NOISE_BITS):
        monkeypatch.setattr(kernels_module, "NOISE_BITS", n_bits)
        found = integers(client.encrypt(nothing, secret, NOISE_KEY, torch.zeros(2, 300), torch.ones(2)))
        noise = np.array(reference.noise(NOISE_KEY, 600, n_bits)).reshape(2, 300)
        np.testing.assert_array_equal(found, (64 * noise + 128) % 2**32 >> 8)


def test_compiled_loops_freeze_nothing_but_the_shape_of_their_own_data():
    """What numba captures from a module is fixed in its cache: only functions, types and structural integers."""
    numba = pytest.importorskip("numba")
    from fhe_estimators.backends.lwe import _limb_loops
    from fhe_estimators.backends.lwe.client import loops, sampling_loops, spectra_loops, transform_loops

    frozen = {
        name
        for module in (_limb_loops, loops, sampling_loops, spectra_loops, transform_loops)
        for function in vars(module).values()
        if isinstance(function, numba.core.dispatcher.Dispatcher)
        for name, value in inspect.getclosurevars(function.py_func).globals.items()
        if not callable(value) and not inspect.ismodule(value)
    }
    assert frozen == {"LANES", "WIDTH", "_STRETCH", "_ROUNDING", "_LOWEST_BITS"}


@pytest.mark.parametrize("n_limbs", [1, 2, 3, 4])
def test_limbs_represent_integers_modulo_their_width(n_limbs):
    values = torch.from_numpy(np.random.default_rng(2).integers(-(2**31), 2**31, (4, 100)).astype(np.int32))
    values[0, :2] = torch.tensor([2**31 - 1, -(2**31)])
    limbs = to_limbs(values, n_limbs)
    assert limbs.dtype == torch.int8
    assert ((from_limbs(limbs) - values.to(torch.int64)) % 256**n_limbs == 0).all()


def test_compiled_limbs_equal_those_of_torch():
    words = torch.from_numpy(np.random.default_rng(3).integers(-(2**31), 2**31, (5, 100)).astype(np.int32))
    words[0, :3] = torch.tensor([0x7FFFFF, 0x808080, -(2**31)])
    ciphertexts = to_ciphertexts(words)
    assert torch.equal(ciphertexts, to_limbs(words))
    assert torch.equal(to_words(ciphertexts), from_limbs(ciphertexts).to(torch.int32))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_the_cpu():
    parameters = select_parameters(100)
    cpu, gpu = TorchKernels(parameters, torch.device("cpu")), TorchKernels(parameters, torch.device("cuda"))
    public = torch.from_numpy(public_matrix(SEED, parameters, 0, 50).view(np.int32))
    secret = ternary_secret(SECRET_KEY, parameters)
    values, scales = torch.randn(100, 50), torch.rand(100) * 1e4
    a = cpu.encrypt(cpu.spectra(public), cpu.secret_spectra(secret), NOISE_KEY, values, scales)
    b = gpu.encrypt(gpu.spectra(public), gpu.secret_spectra(secret), NOISE_KEY, values.cuda(), scales.cuda())
    assert torch.equal(a, b.cpu())
