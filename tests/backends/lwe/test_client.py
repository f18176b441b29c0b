import copy
import pickle

import numpy as np
import pytest
import torch

from fhe_estimators.backends.lwe import NoiseModel, WeightNorms, select_parameters
from fhe_estimators.backends.lwe.client.encryption import LWEClient
from fhe_estimators.backends.lwe.hint_cache import HintCache
from fhe_estimators.backends.lwe.noise import lengths_of, scales_of
from fhe_estimators.backends.lwe.worker import compute_hint, multiply
from fhe_estimators.exceptions import NonFiniteError, ProtocolError


def setting(name="fast", n_tokens=64, n_inputs=96, n_outputs=80, seed=0):
    torch.manual_seed(seed)
    matrix = torch.randint(-127, 128, (n_inputs, n_outputs), dtype=torch.int8)
    client = LWEClient(select_parameters(n_tokens, name=name))
    hint = compute_hint(matrix, client.seed, client.parameters)
    return client, matrix, WeightNorms.of(matrix), hint


def product(client, matrix, norms, hint, values):
    ciphertexts, secrets = client.encrypt(values, norms)
    scales = secrets.scales
    response = multiply(ciphertexts, matrix)
    decrypted = client.decrypt(response, secrets, client.hint_spectra(hint), torch.ones(matrix.shape[1]))
    return decrypted.double(), values.double() @ matrix.double(), scales


@pytest.mark.parametrize("name", ["fast", "precise"])
@pytest.mark.parametrize("n_tokens", [1, 2, 64, 200, 1024])
def test_measured_noise_is_the_predicted_one(name, n_tokens):
    client, matrix, norms, hint = setting(name, n_tokens, 256, 192)
    values = torch.randn(n_tokens, 256) * torch.logspace(-3, 3, n_tokens)[:, None]
    found, exact, scales = product(client, matrix, norms, hint, values)
    predicted = client.noise.output_deviation(norms)[None] / scales[:, None]
    normalized = (found - exact) / predicted
    assert normalized.std() == pytest.approx(1, abs=0.05 + 2 / n_tokens**0.5 / 14)
    assert normalized.abs().max() < 7


@pytest.mark.parametrize("name", ["fast", "precise"])
def test_no_input_makes_an_output_wrap(name):
    """The worst input for Cauchy and Schwarz: a token parallel to the weights of one output, both signs."""
    client, matrix, norms, hint = setting(name, 64, 512, 32)
    worst = matrix[:, int(norms.euclidean.argmax())].float()
    values = torch.stack([worst, -worst, worst * 1e-20, worst * 1e20, matrix[:, 0].float(), worst.sign()])
    found, exact, scales = product(client, matrix, norms, hint, values)
    deviation = client.noise.output_deviation(norms)[None] / scales[:, None]
    assert ((found - exact).abs() < 7 * deviation).all()
    room = 2.0 ** (client.parameters.modulus_bits - 1)
    assert (exact.abs() * scales[:, None]).max() > 0.5 * room  # the test is a hard one


def test_twice_the_largest_scale_would_wrap():
    client, matrix, norms, hint = setting("precise", 64, 512, 32)
    worst = matrix[:, int(norms.euclidean.argmax())].float()[None]
    reckless = WeightNorms(norms.euclidean, norms.largest_euclidean / 2.5, norms.largest_absolute, norms.n_inputs)
    found, exact, _ = product(client, matrix, reckless, hint, worst)
    assert (found - exact).abs().max() > 0.1 * exact.abs().max()


def test_zero_tokens_decrypt_to_zero():
    client, matrix, norms, hint = setting()
    values = torch.randn(64, 96)
    values[::3] = 0
    found, _, _ = product(client, matrix, norms, hint, values)
    assert not found[::3].any()  # not even tiny: products of tiny numbers are denormal, and slow
    assert found[1::3].any(dim=1).all()


def test_more_tokens_than_the_ring_has_are_encrypted_in_blocks_with_secrets_of_their_own():
    client, matrix, norms, hint = setting(n_tokens=64)
    values = torch.randn(150, 96)
    _, secrets = client.encrypt(values, norms)
    spectra = secrets.take()
    assert len(spectra) == 3
    assert not torch.equal(spectra[0], spectra[1])
    found, exact, _ = product(client, matrix, norms, hint, values)
    assert (found - exact).norm() < 0.02 * exact.norm()


def test_the_same_values_encrypt_differently_every_time():
    client, _, norms, _ = setting()
    values = torch.randn(64, 96)
    first, second = (client.encrypt(values, norms)[0] for _ in range(2))
    assert (first == second).float().mean() < 0.02


def test_ciphertexts_look_uniform_whatever_they_hold():
    client, _, norms, _ = setting("fast", 1024, 64)
    for values in (torch.zeros(1024, 64), torch.full((1024, 64), 3.0)):
        ciphertexts, _ = client.encrypt(values, norms)
        counts = torch.bincount(ciphertexts.flatten().long() + 128, minlength=256).double()
        statistic = float(((counts - counts.mean()) ** 2 / counts.mean()).sum())
        assert 130 < statistic < 420  # chi square with 255 degrees of freedom, far in the tails


def test_another_secret_gives_garbage():
    client, matrix, norms, hint = setting()
    values = torch.randn(64, 96)
    ciphertexts, _ = client.encrypt(values, norms)
    _, other = client.encrypt(values, norms)
    found = client.decrypt(multiply(ciphertexts, matrix), other, client.hint_spectra(hint), torch.ones(80)).double()
    exact = values.double() @ matrix.double()
    assert (found - exact).norm() > exact.norm()


def test_secrets_serve_once_and_are_neither_shown_nor_pickled():
    client, matrix, norms, hint = setting()
    ciphertexts, secrets = client.encrypt(torch.randn(64, 96), norms)
    assert repr(secrets) == "Secrets()"
    for leak in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            leak(secrets)
    arguments = multiply(ciphertexts, matrix), secrets, client.hint_spectra(hint), torch.ones(80)
    client.decrypt(*arguments)
    with pytest.raises(RuntimeError, match="used already"):
        client.decrypt(*arguments)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_not_encrypted(bad):
    client, _, norms, _ = setting()
    values = torch.randn(64, 96)
    values[5, 7] = bad
    with pytest.raises(NonFiniteError, match="NaN or infinity"):
        client.encrypt(values, norms)


def test_answers_of_wrong_shape_or_type():
    client, matrix, norms, hint = setting()
    changes = [lambda a: a[:-1], lambda a: a[:, :2], lambda a: a.int(), lambda a: a.flatten()]
    for change in (*changes, lambda a: a[..., :-1], lambda a: torch.cat([a, a], dim=2)):
        ciphertexts, secrets = client.encrypt(torch.randn(64, 96), norms)
        with pytest.raises(ProtocolError, match="response"):
            client.decrypt(change(multiply(ciphertexts, matrix)), secrets, client.hint_spectra(hint), torch.ones(80))
    with pytest.raises(ProtocolError, match="hint"):
        client.hint_spectra(hint[:, :, :-1])


def test_seed_must_have_32_bytes():
    with pytest.raises(ValueError, match="seed must have 32 bytes"):
        LWEClient(select_parameters(64), b"short")


def test_layers_without_room_for_messages_are_refused():
    wide = WeightNorms(torch.tensor([1e5]), 1e5, 1e7, 1 << 20)
    with pytest.raises(ValueError, match="precise"):
        NoiseModel(select_parameters(64)).largest_scale(wide)


def test_scales_are_the_largest_allowed():
    values = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-30, 0.0]])
    assert scales_of(lengths_of(values), 10.0).tolist() == pytest.approx([2.0, 1e30, 1e30])


class TestHintCache:
    def test_hints_beyond_the_bound_go_to_files_that_are_removed(self, tmp_path):
        cache = HintCache(memory_bytes=1000, directory=tmp_path)
        tensors = [torch.arange(200, dtype=torch.float32) + i for i in range(3)]
        for i, tensor in enumerate(tensors):
            cache.get(str(i), lambda tensor=tensor: tensor)
        assert cache.nbytes == {"memory": 800, "file": 1600}
        for i, tensor in enumerate(tensors):
            assert torch.equal(cache.get(str(i), lambda: pytest.fail("computed twice")), tensor)
        del cache
        assert not any(tmp_path.iterdir())
