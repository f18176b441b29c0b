"""Adversary: a client that takes the ciphertexts of responses apart instead of decrypting them.

Goal: leaves and structure of the model, beyond what its scores tell. A response is a function of the request and the
model, and the client, who knows the secret key, sees the noise of its evaluation.

Servers that re-randomize send ciphertexts and noise of their own. How well that noise hides the evaluation's is
``flooding_bits``.
"""

import numpy as np
import pytest

from fhe_estimators.backends.ckks.circuit import flooding
from fhe_estimators.backends.ckks.circuit.noise import ERROR_STDS, MAX_ERROR
from tests.attacks.deployments import Target

LARGEST_STD = MAX_ERROR / ERROR_STDS


@pytest.fixture(scope="module")
def target():
    return Target("ckks")


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("n_rows", [3, 300, 4200])
def test_rerandomized_responses_are_exact_and_never_the_same(target, n_rows, n_jobs):
    server = target.backend.evaluator(target.program, n_jobs=n_jobs, rerandomize=True)
    request = target.ask(n_rows)
    first, second = server.run(request, target.keys), server.run(request, target.keys)
    same = np.frombuffer(first, np.uint8)[-60_000:] == np.frombuffer(second, np.uint8)[-60_000:]
    assert same.mean() < 0.05
    np.testing.assert_array_equal(target.client.decrypt(first, request), target.expected(n_rows))
    assert target.server.run(request, target.keys) == target.server.run(request, target.keys)  # the others are


@pytest.mark.parametrize("n_rows", [300, 4096])
def test_the_noise_is_the_servers_own(target, n_rows):
    def noise(**options):
        request = target.ask(n_rows)
        response = target.backend.evaluator(target.program, **options).run(request, target.keys)
        return target.client.rounding_errors(response, request).ravel()

    plain, flooded = noise(), noise(rerandomize=True)
    assert np.abs(plain).max() < LARGEST_STD / 10
    assert flooded.std() == pytest.approx(LARGEST_STD / 2**0.5, rel=0.15)  # real parts
    assert np.abs(flooded).max() < MAX_ERROR
    assert abs(np.corrcoef(noise(rerandomize=True), flooded)[0, 1]) < 0.2


def test_noise_of_both_layers_has_the_size_that_was_asked_for():
    expansion, error_std = 3, 1e-3
    coarse, fine = flooding.flooding_slots(error_std, 8192, expansion, score_bits=20)
    used = np.zeros((8, 512), dtype=bool)
    used[:, flooding.row_places(8192, expansion)] = True
    used = used.ravel()
    size = flooding.flooding_std(error_std) * 2 ** (expansion / 2)
    assert np.sqrt((np.abs(coarse[used]) ** 2).mean()) == pytest.approx(size, rel=0.05)
    assert np.sqrt((np.abs(coarse[~used]) ** 2).mean()) == pytest.approx(2.0**20, rel=0.15)
    np.testing.assert_allclose(np.abs(fine[used]).mean(), 2.0**-40 * np.abs(coarse[used]).mean(), rtol=0.05)
    assert not np.array_equal(coarse, flooding.flooding_slots(error_std, 8192, expansion, score_bits=20)[0])
    normal = flooding._complex_normal(100_000)
    for part in (normal.real, normal.imag):
        assert part.std() == pytest.approx(1, abs=0.02) and abs(part.mean()) < 0.02
        assert np.mean(np.abs(part) > 3) == pytest.approx(0.0027, abs=0.001)


def test_flooding_bits_are_those_of_the_distance_of_two_gaussians():
    """The distance of two Gaussians one length apart, measured where it is large enough."""
    rng, degree, error_std = np.random.default_rng(0), 4096, 1e-5
    shift = flooding._MARGIN * error_std * np.sqrt(degree) / flooding.flooding_std(error_std)  # in deviations
    draws = rng.normal(size=1_000_000)
    measured = (draws > -shift / 2).mean() - (draws > shift / 2).mean()
    assert flooding.flooding_bits(error_std, degree) == pytest.approx(-np.log2(measured), abs=0.1)


def test_what_is_not_promised(target):
    """Parameters of the `ckks` engine leave no room for a distance of 2 ** -40: it says so."""
    described = target.program.describe()
    assert described["can_rerandomize"] and 0 <= described["flooding_bits"] < 40
    assert flooding.flooding_bits(LARGEST_STD, 8192) == 0
    assert flooding.flooding_bits(2.0**-54, 8192) > 40
