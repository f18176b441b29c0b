"""Adversary: a worker that was caught. Goal: more tries.

It was moved to the end of the line for the layer it was caught at, and asked for every other one.
"""

import pytest

from fhe_estimators.exceptions import WorkerError, WorkerIntegrityError
from fhe_estimators.lora import LocalWorker
from tests.attacks.fine_tuning import TEXTS, tuner, weights

pytestmark = pytest.mark.filterwarnings("ignore:Worker .* failed")


class Liar(LocalWorker):
    """Flips one bit of every response, and of hints if told so."""

    def __init__(self, lies_about):
        super().__init__(weights(), name="bad")
        self.lies_about, self.n_lies, self.n_asked = lies_about, 0, 0

    def multiply(self, layer, direction, ciphertexts):
        response, seconds = super().multiply(layer, direction, ciphertexts)
        self.n_asked += 1
        if self.lies_about == "products":
            self.n_lies += 1
            response[0, 0, 0] ^= 1
        return response, seconds

    def hint(self, layer, direction, seed, parameters):
        hint = super().hint(layer, direction, seed, parameters)
        self.n_asked += 1
        if self.lies_about == "hints":
            self.n_lies += 1
            hint[0, 0, 0] ^= 1 << 20
        return hint


@pytest.mark.parametrize("lies_about", ["products", "hints"])
def test_a_worker_that_was_caught_gets_no_more_work(lies_about):
    bad = Liar(lies_about)
    fitted = tuner(workers=[bad, LocalWorker(weights(), name="good")]).fit(TEXTS)
    assert bad.n_lies == 1
    asked = bad.n_asked
    fitted.fit(TEXTS)
    fitted.perplexity(TEXTS, fhe="execute")
    assert bad.n_asked == asked
    assert len(fitted.history_) == 2


def test_nobody_left_is_an_error_that_names_the_caught():
    bad, asked = Liar("products"), []
    fitted = tuner(workers=[bad]).compile()
    for _ in range(2):
        with pytest.raises(WorkerIntegrityError, match=r"\['bad'\] answered wrongly and get no more work in this run"):
            fitted.fit(TEXTS)
        asked.append(bad.n_asked)
    assert asked[0] == asked[1]  # rather none than a worker that was caught


def test_check_vectors_are_fresh_after_a_refusal():
    """Of that layer and direction: those that refused are never used again, whoever is asked next."""

    class Dead(LocalWorker):
        def multiply(self, layer, direction, ciphertexts):
            raise WorkerError("off")

    fitted = tuner(workers=[Liar("products"), Dead(weights(), name="dead")]).compile()
    checks = fitted.program_.layers[0].checks
    before = {direction: checks.of(direction)._outputs for direction in ("forward", "backward")}
    with pytest.raises(WorkerIntegrityError):
        fitted.fit(TEXTS)
    assert checks.of("backward")._outputs is before["backward"]
    assert not checks.of("forward")._outputs.equal(before["forward"])
