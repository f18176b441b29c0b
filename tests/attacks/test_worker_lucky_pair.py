"""Adversary: a worker that adds 2^23 to two outputs. Goal: a change that is accepted for as long as the model lives.

Such a change shows in the parity of two entries of a check vector only. With eight vectors of which one was odd
throughout, one pair in 128 was accepted; the vectors never changed, and a worker that was caught was asked again. So a
worker could try pairs until one passed, and use that one for ever.
"""

import itertools

import pytest

from fhe_estimators.cli import main
from fhe_estimators.exceptions import WorkerIntegrityError
from fhe_estimators.lora import LocalWorker
from tests.attacks.fine_tuning import TEXTS, model, tuner, weights

pytestmark = pytest.mark.filterwarnings("ignore:Worker .* failed")
N_TRIES = 3


class PairFinder(LocalWorker):
    """Tries another pair of outputs after every refusal; keeps one that was accepted."""

    def __init__(self):
        super().__init__(weights(), name="bad")
        self.pairs = itertools.cycle(itertools.combinations(range(30), 2))
        self.pair = None
        self.n_asked = 0

    def multiply(self, layer, direction, ciphertexts):
        response, seconds = super().multiply(layer, direction, ciphertexts)
        self.n_asked += 1
        response[0, 2, list(self.pair)] ^= -128
        return response, seconds


def refusals(fitted):
    """Whether the worker is refused however often it tries, and how often it was asked."""
    for _ in range(N_TRIES):
        (worker,) = fitted.workers
        worker.pair = next(worker.pairs)
        with pytest.raises(WorkerIntegrityError, match="bad"):
            fitted.fit(TEXTS)
    return worker.n_asked


def test_no_pair_is_found():
    """One refusal ends the worker's part in the run: nothing is learned by asking on."""
    assert refusals(tuner(workers=[PairFinder()], max_steps=1).compile()) == 1


def test_vectors_that_refused_are_used_up(tmp_path):
    """A client without weights has a reserve of vectors, and does not go on without; nor does the next process."""
    model().save_pretrained(tmp_path / "model")
    main(["split", str(tmp_path / "model"), "--out", str(tmp_path / "parts")])
    worker = PairFinder()
    for _ in range(4):
        worker.pair = next(worker.pairs)
        with pytest.raises(WorkerIntegrityError, match=r"answered .* wrongly"):
            tuner(str(tmp_path / "parts" / "client"), workers=[worker], max_steps=1).fit(TEXTS)
    for workers in ([worker], [LocalWorker(weights())]):
        with pytest.raises(WorkerIntegrityError, match=r"used up.*[Ss]plit the model again"):
            tuner(str(tmp_path / "parts" / "client"), workers=workers).compile()
    assert worker.n_asked == 4
    main(["split", str(tmp_path / "model"), "--out", str(tmp_path / "parts")])
    tuner(str(tmp_path / "parts" / "client"), workers=[LocalWorker(weights())], max_steps=1).fit(TEXTS)
