"""Every way to multiply equals Python's integers, on every device and processor."""

import functools
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from fhe_estimators.backends.lwe import LWEBackend, select_parameters
from fhe_estimators.backends.lwe import product_choice as choice
from fhe_estimators.backends.lwe._limbs import to_limbs
from fhe_estimators.backends.lwe._randomness import public_matrix
from fhe_estimators.backends.lwe.products import PRODUCTS, ExactProduct
from fhe_estimators.backends.lwe.worker import compute_hint, multiply

from .kernels import integers

SHAPES = [(1, 1, 1), (2, 3, 5), (3, 512, 16), (4, 1025, 97), (7, 33, 100), (50, 130, 200), (100, 2048, 40)]
#: As plain a processor as those of the last ten years are; numba takes the host's features unless both are set.
PLAIN_PROCESSOR = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi,+bmi2,+popcnt",
}
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]


def exact_product(name, device="cpu"):
    product = PRODUCTS[name]
    if name == "int16":
        pytest.importorskip("numba")
        if device != "cpu":
            pytest.skip("no CUDA device has the compiled loops")
    if name == "int8" and device == "cpu" and int8_saturates():
        assert not choice.is_exact(product, torch.device(device))
        pytest.skip("PyTorch's products of int8 saturate on this processor; they are not used")
    return product


@functools.cache
def int8_saturates():
    """Whether PyTorch itself, which products of int8 go through, is wrong: its libraries without VNNI may be."""

    def saturates(n_rows, n_inner, n_columns):  # libraries have other code for few rows than for many
        left = torch.full((n_rows, n_inner), 127, dtype=torch.int8)
        right = torch.full((n_inner, n_columns), 127, dtype=torch.int8)
        return bool((torch._int_mm(left, right) != 127 * 127 * n_inner).any())

    return any(saturates(*shape) for shape in [(64, 64, 64), (12, 1025, 17), (192, 576, 128)])


def operands(n_rows, n_inner, n_columns, seed=0):
    """Random words of 32 bits and weights, with the largest and smallest ones in the first rows and columns."""
    rng = np.random.default_rng(seed)
    words = rng.integers(-(2**31), 2**31, (n_rows, n_inner)).astype(np.int32)
    matrix = rng.integers(-128, 128, (n_inner, n_columns)).astype(np.int8)
    words[0], words[-1] = -(2**31), 2**31 - 1
    matrix[:, 0], matrix[:, -1] = -128, 127
    return words, matrix


def exact(words, matrix):
    return words.astype(np.int64) @ matrix.astype(np.int64)


def check(product, words, matrix, device, transposed):
    weights = torch.from_numpy(matrix).to(device)
    weights = weights.T.contiguous().T if transposed else weights
    expected = exact(words, matrix)
    found = product.of_words(torch.from_numpy(words).to(device), weights)
    assert found.dtype == torch.int32 and found.is_contiguous()
    np.testing.assert_array_equal(found.cpu().numpy(), expected.astype(np.int32))
    ciphertexts = to_limbs(torch.from_numpy(words)).to(device)
    found = product.of_ciphertexts(ciphertexts, weights)
    np.testing.assert_array_equal(found.cpu().numpy() % 2**24, expected % 2**24)
    limbs = product.ciphertexts(ciphertexts, weights)
    assert limbs.dtype == torch.int8 and limbs.is_contiguous()
    np.testing.assert_array_equal(integers(limbs.cpu()), expected % 2**24)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_equal_integers(name, shape, transposed, device):
    check(exact_product(name, device), *operands(*shape), device, transposed)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_wide_layers_equal_integers(name, transposed, device):
    check(exact_product(name, device), *operands(3, 16384, 24), device, transposed)


@pytest.mark.parametrize("value", [-128, 127])
@pytest.mark.parametrize("weight", [-128, 127])
@pytest.mark.parametrize("name", PRODUCTS)
def test_all_limbs_at_their_largest(name, weight, value):
    ciphertexts = torch.full((4, 3, 16384), value, dtype=torch.int8)
    matrix = torch.full((16384, 18), weight, dtype=torch.int8)
    found = integers(exact_product(name).ciphertexts(ciphertexts, matrix))
    assert (found == int(integers(ciphertexts)[0, 0]) * weight * 16384 % 2**24).all()


@pytest.mark.parametrize("name", PRODUCTS)
def test_more_terms_than_a_product_of_float64_takes_at_once(name):
    words = torch.full((1, 40_000), -(2**31), dtype=torch.int32)
    words[0, ::2] = 2**31 - 1
    matrix = torch.full((40_000, 1), -128, dtype=torch.int8)
    matrix[0] = 127
    found = exact_product(name).of_words(words, matrix)
    np.testing.assert_array_equal(found.numpy(), exact(words.numpy(), matrix.numpy()).astype(np.int32))


@pytest.mark.parametrize("name", PRODUCTS)
def test_operands_that_are_views(name):
    """Slices of rows and of features, as micro-batches and merged layers make them."""
    words, matrix = operands(24, 80, 60)
    product = exact_product(name)
    ciphertexts, weights = to_limbs(torch.from_numpy(words))[3:20:2, :, 8:72], torch.from_numpy(matrix)[8:72, 5:50]
    found = integers(product.ciphertexts(ciphertexts, weights))
    np.testing.assert_array_equal(found, exact(words[3:20:2, 8:72], matrix[8:72, 5:50]) % 2**24)
    found = product.of_words(torch.from_numpy(words).T[8:72].T, weights)
    np.testing.assert_array_equal(found.numpy(), exact(words[:, 8:72], matrix[8:72, 5:50]).astype(np.int32))


@pytest.mark.parametrize("name", PRODUCTS)
def test_workers_give_the_same_ciphertexts_and_hints_whatever_the_product(name):
    exact_product(name)
    parameters = select_parameters(8)
    matrix = torch.randint(-128, 128, (40, 24), dtype=torch.int8)
    ciphertexts = torch.randint(-128, 128, (20, 3, 40), dtype=torch.int8)
    found = integers(multiply(ciphertexts, matrix, product=name))
    np.testing.assert_array_equal(found, exact(integers(ciphertexts), matrix.numpy()) % 2**24)
    hint = compute_hint(matrix, bytes(32), parameters, product=name)
    public = public_matrix(bytes(32), parameters, 0, 40).reshape(40, -1).astype(np.int64)
    np.testing.assert_array_equal(
        hint.reshape(24, -1).numpy(), (matrix.numpy().T.astype(np.int64) @ public).astype(np.int32)
    )


class TestChoice:
    def test_products_are_chosen_once_a_device_and_number_of_rows(self, monkeypatch):
        measured = []
        monkeypatch.setattr(choice, "_chosen", {})
        monkeypatch.setattr(choice, "measure_products", lambda *key: measured.append(key) or PRODUCTS["float64"])
        cpu = torch.device("cpu")
        for n_rows in (1, 2, 100, 1000):
            assert choice.choose_product(cpu, n_rows).name == "float64"
        assert measured == [(cpu, True), (cpu, False)]

    def test_a_name_or_the_environment_pins_it(self, monkeypatch):
        monkeypatch.setattr(choice, "measure_products", lambda *key: pytest.fail("measured"))
        monkeypatch.setattr(choice, "_chosen", {})
        cpu = torch.device("cpu")
        assert choice.choose_product(cpu, 100, "float32").name == "float32"
        monkeypatch.setenv(choice.PRODUCT_VARIABLE, "float64")
        assert choice.choose_product(cpu, 100).name == "float64"
        assert choice.choose_product(cpu, 100, "float32").name == "float32"

    def test_unknown_names_are_refused(self, monkeypatch):
        with pytest.raises(ValueError, match="product='bfloat16' is unknown: use 'auto' or one of"):
            LWEBackend(product="bfloat16")
        monkeypatch.setenv(choice.PRODUCT_VARIABLE, "fast")
        with pytest.raises(ValueError, match="product='fast' is unknown"):
            choice.choose_product(torch.device("cpu"), 100)

    @pytest.mark.parametrize("few_rows", [False, True])
    @pytest.mark.parametrize(
        ("layer", "seconds", "expected", "timed_large"),
        [
            (9, {"int8": 1, "int16": 5, "float64": 4, "float32": 7}, "int8", {"int8", "float64", "float32"}),
            # Slower than the layer in float32: the compiled loops are tried too.
            (2, {"int8": 90, "int16": 3, "float64": 4, "float32": 7}, "int16", {"int16", "float64", "float32"}),
            (2, {"int8": 90, "int16": 5, "float64": 4, "float32": 70}, "float64", {"int16", "float64"}),
        ],
    )
    def test_the_fastest_is_chosen_and_slow_ones_are_not_timed_for_long(
        self, monkeypatch, few_rows, layer, seconds, expected, timed_large
    ):
        pytest.importorskip("numba")
        timed = []

        def fake(multiply, operands):
            product = getattr(multiply, "__self__", None)
            if product is None:
                return layer
            timed.append((product.name, operands[1].shape[0]))
            return seconds[product.name]

        monkeypatch.setattr(choice, "_seconds", fake)
        monkeypatch.setattr(choice, "is_exact", lambda product, device: True)
        assert choice.measure_products(torch.device("cpu"), few_rows).name == expected
        assert {name for name, n_inner in timed if n_inner == choice.SHAPES[few_rows][1][1]} == timed_large

    def test_a_first_call_that_compiles_is_not_timed(self):
        calls = []

        def multiply(ciphertexts, matrix):
            time.sleep(0 if calls else 0.5)
            calls.append(1)

        assert choice._seconds(multiply, (torch.empty(1), torch.empty(1))) < 0.25
        assert len(calls) > 2

    def test_wrong_products_are_not_chosen(self, monkeypatch):
        class Rounded(ExactProduct):
            """Fast, and exact but for the largest sums."""

            name = "rounded"

            def of_words(self, words, matrix):
                sums = words.double() @ matrix.double()
                return sums.bfloat16().to(torch.int64).to(torch.int32)

            def ciphertexts(self, ciphertexts, matrix):
                return ciphertexts

        class Missing(Rounded):
            def of_words(self, words, matrix):
                raise NotImplementedError("no such operation on this device")

        cpu = torch.device("cpu")
        for name in PRODUCTS:
            assert choice.is_exact(PRODUCTS[name], cpu) == (name != "int8" or not int8_saturates())
        for product in (Rounded(), Missing()):
            monkeypatch.setattr(choice, "_exact", {})
            monkeypatch.setitem(choice.PRODUCTS, "rounded", product)
            assert not choice.is_exact(product, cpu)
            assert choice.measure_products(cpu, False).name != "rounded"
            with pytest.raises(ValueError, match="product='rounded' cannot be used on cpu"):
                choice.choose_product(cpu, 100, "rounded")


def run_plain(*arguments, **environment):
    """Run Python as on a processor with AVX2 alone."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **PLAIN_PROCESSOR, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_products_and_kernels_on_a_plain_processor():
    """These tests and those of the client's kernels, in a process that has AVX2 alone."""
    tests = [os.path.join(os.path.dirname(__file__), name) for name in ("test_products.py", "test_kernels.py")]
    process = run_plain("-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not slow", *tests)
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-1000:]


CHOICE_SCRIPT = """
import torch
from fhe_estimators.backends.lwe.product_choice import choose_product

assert torch.backends.cpu.get_cpu_capability() == "AVX2", torch.backends.cpu.get_cpu_capability()
print(choose_product(torch.device("cpu"), 256).name)
"""


def test_a_plain_loop_is_not_chosen_on_a_plain_processor():
    """PyTorch's product of int8 is one there, some fifty times slower than each of the others."""
    pytest.importorskip("numba")
    process = run_plain("-c", CHOICE_SCRIPT)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() in {"int16", "float64", "float32"}
