"""The fast kernels equal the reference bit for bit."""

import numpy as np
import pytest
import torch

from fhe_estimators.backends.lwe import select_parameters
from fhe_estimators.backends.lwe._limbs import from_limbs, multiply_ciphertexts, multiply_limbs, to_limbs
from fhe_estimators.backends.lwe._randomness import public_matrix, ternary_secret
from fhe_estimators.backends.lwe.client.kernels import CompiledKernels, TorchKernels
from fhe_estimators.backends.lwe.client.transform import NegacyclicTransform
from tests.backends.lwe import reference

SEED, SECRET_KEY, NOISE_KEY = (bytes([i]) * 32 for i in (1, 2, 3))


def kernels(kind, parameters):
    if kind == "torch":
        return TorchKernels(parameters, torch.device("cpu"))
    pytest.importorskip("numba")
    from fhe_estimators.backends.lwe.client import loops as _loops

    return CompiledKernels(parameters, _loops)


@pytest.mark.parametrize("kind", ["torch", "compiled"])
@pytest.mark.parametrize(
    ("name", "n_tokens", "n_features"),
    [("fast", 1024, 3), ("fast", 100, 130), ("fast", 1, 17), ("precise", 64, 40), ("precise", 1500, 2)],
)
def test_encryption_and_decryption_equal_the_reference(kind, name, n_tokens, n_features):
    parameters = select_parameters(n_tokens, name=name)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n_tokens, n_features)).astype(np.float32)
    scales = rng.uniform(1, 1e5, n_tokens).astype(np.float32)
    client = kernels(kind, parameters)
    public = torch.from_numpy(public_matrix(SEED, parameters, 0, n_features).view(np.int32))
    spectra = client.spectra(public)
    secret = client.secret_spectra(ternary_secret(SECRET_KEY, parameters))

    ciphertexts = client.encrypt(spectra, secret, NOISE_KEY, torch.from_numpy(values), torch.from_numpy(scales))
    expected = reference.encrypt(parameters, SEED, SECRET_KEY, NOISE_KEY, values, scales)
    np.testing.assert_array_equal(reference.integers(ciphertexts), expected)

    ones = torch.ones(n_features), torch.ones(n_tokens)
    centred = client.decrypt(spectra, secret, ciphertexts, *ones)
    exact = reference.decrypt(parameters, SECRET_KEY, public.numpy().view(np.uint32), ciphertexts)
    np.testing.assert_array_equal(centred.numpy(), exact.astype(np.float32))


def test_known_answer_of_an_encryption():
    parameters = select_parameters(4)
    client = kernels("torch", parameters)
    public = torch.from_numpy(public_matrix(SEED, parameters, 0, 2).view(np.int32))
    secret = client.secret_spectra(ternary_secret(SECRET_KEY, parameters))
    values = torch.tensor([[1.0, -2.0], [0.5, 0.0]])
    ciphertexts = client.encrypt(client.spectra(public), secret, NOISE_KEY, values, torch.tensor([1000.0, 10.0]))
    assert reference.integers(ciphertexts).tolist() == [[14308028, 16357726], [7995742, 12008455]]


@pytest.mark.parametrize("degree", [2, 64, 2048])
def test_transform_is_exact_at_the_largest_values(degree):
    rank = 2048 // degree
    rng = np.random.default_rng(degree)
    polynomials = np.where(rng.random((rank, degree)) < 0.5, -(2**31), 2**31 - 1)
    secret = rng.choice([-1, 1], size=(rank, degree))
    transform = NegacyclicTransform(degree)
    spectra = transform.spectrum(torch.from_numpy(polynomials)) * transform.spectrum(torch.from_numpy(secret))
    found = transform.coefficients(spectra.sum(dim=0)).numpy()
    expected = sum(reference.negacyclic_product(a, s) for a, s in zip(polynomials, secret, strict=True))
    np.testing.assert_array_equal(found, expected)


def test_rounding_error_of_the_transform_is_far_below_a_half():
    degree = 2048
    rng = np.random.default_rng(0)
    polynomials = torch.from_numpy(rng.integers(-(2**31), 2**31, (64, degree)))
    secret = torch.from_numpy(rng.choice([-1, 1], size=degree))
    transform = NegacyclicTransform(degree)
    folded = torch.fft.ifft(transform.spectrum(polynomials) * transform.spectrum(secret), norm="forward")
    coefficients = torch.view_as_real(folded * transform.untwist)
    assert (coefficients - coefficients.round()).abs().max() < 0.05


@pytest.mark.parametrize("gemm", ["int8", "float64"])
def test_products_of_limbs_are_exact_modulo_two_to_the_24(gemm):
    rng = np.random.default_rng(1)
    integers = rng.integers(0, 1 << 24, (5, 3000))
    integers[0], integers[1] = 0x7FFFFF, 0x800000
    matrix = rng.integers(-127, 128, (3000, 40)).astype(np.int8)
    matrix[:, 0] = 127
    ciphertexts = to_limbs(torch.from_numpy(integers))
    found = reference.integers(multiply_ciphertexts(ciphertexts, torch.from_numpy(matrix), gemm=gemm))
    np.testing.assert_array_equal(found, (integers @ matrix.astype(np.int64)) % (1 << 24))


@pytest.mark.parametrize("n_limbs", [1, 2, 3, 4])
def test_limbs_represent_integers_modulo_their_width(n_limbs):
    values = torch.from_numpy(np.random.default_rng(2).integers(-(2**31), 2**31, (4, 100)).astype(np.int32))
    values[0, :2] = torch.tensor([2**31 - 1, -(2**31)])
    limbs = to_limbs(values, n_limbs)
    assert limbs.dtype == torch.int8
    assert ((from_limbs(limbs) - values.to(torch.int64)) % 256**n_limbs == 0).all()


def test_both_gemms_agree():
    limbs = torch.randint(-128, 128, (7, 3, 33), dtype=torch.int8)
    matrix = torch.randint(-127, 128, (33, 5), dtype=torch.int8)
    assert torch.equal(multiply_limbs(limbs, matrix), multiply_limbs(limbs, matrix, gemm="float64"))


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
