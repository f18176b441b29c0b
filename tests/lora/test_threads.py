"""Tuners in threads and in pickles: the same results, and no secrets."""

import copy
import io
import pickle
import threading
import time

import joblib
import numpy as np
import pytest
import torch

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.exceptions import NotCompiledError
from fhe_estimators.lora import HTTPWorker, LocalWorker
from fhe_estimators.lora.client.loading import load_model
from fhe_estimators.lora.randomness import Randomness, draws_when_training
from fhe_estimators.lora.worker.app import create_app
from tests.lora.architectures import make
from tests.lora.models import make_model
from tests.lora.served import Served
from tests.lora.test_parts import split

SETTINGS = {"max_length": 16, "learning_rate": 1e-2, "lora_dropout": 0.3, "batch_size": 4, "epochs": 1}


def fitted(model, sequences, **options):
    return HELoRAFineTuner(model, **{**SETTINGS, **options}).fit(sequences, fhe="disable")


def losses(tuner):
    return [entry["loss"] for entry in tuner.history_]


@pytest.mark.parametrize("kind", ["lora dropout", "attention dropout"])
def test_tuners_in_threads_are_reproducible(kind, sequences):
    model = make_model()
    if kind == "attention dropout":
        model.config.attention_dropout = 0.3
        for layer in model.model.layers:
            layer.self_attn.attention_dropout = 0.3
    sequences = sequences[:12]
    expected = {seed: losses(fitted(model, sequences, random_state=seed)) for seed in (0, 1)}
    assert expected[0] != expected[1]
    found, stop = {}, threading.Event()

    def disturb():
        while not stop.is_set():
            torch.manual_seed(0)
            torch.rand(5)
            time.sleep(0.001)

    def train(number):
        found[number] = losses(fitted(model, sequences, random_state=number % 2))

    threads = [threading.Thread(target=train, args=(number,)) for number in range(4)]
    disturber = threading.Thread(target=disturb)
    for thread in [disturber, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    disturber.join()
    assert found == {number: expected[number % 2] for number in range(4)}


def test_the_global_generator_is_left_alone(sequences, labels):
    before = torch.get_rng_state()
    fitted(make_model("gpt2"), sequences)  # with dropout of its own
    tuner = HELoRAFineTuner(make("Bert", "Model"), task="sequence-classification", max_length=16, max_steps=2)
    tuner.fit([[token or 1 for token in ids] for ids in sequences], labels, fhe="disable")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: torch.nn.Linear(3, 4).weight,
        lambda: torch.nn.functional.dropout(torch.ones(20), 0.5),
        lambda: torch.nn.functional.scaled_dot_product_attention(*[torch.ones(1, 2, 5, 4)] * 3, dropout_p=0.5),
        lambda: torch.rand(3),
        lambda: torch.rand_like(torch.ones(3)),
        lambda: torch.randint(2, 50, (9,)),
        lambda: torch.randperm(30),
        lambda: torch.multinomial(torch.ones(40), 20),
        lambda: torch.nn.init.orthogonal_(torch.empty(3, 3)),
    ],
)
def test_numbers_come_from_the_generator_of_the_context(draw):
    before = torch.get_rng_state()
    with Randomness("cpu", 3).drawing():
        first = draw()
    with Randomness("cpu", 3).drawing():
        second = draw()
    with Randomness("cpu", 4).drawing():
        other = draw()
    assert torch.equal(first, second) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_models_that_draw_nothing_are_known():
    assert not draws_when_training(make_model())
    assert draws_when_training(make_model("gpt2"))
    mixture = make("Mixtral", "ForCausalLM")
    assert not draws_when_training(mixture)
    mixture.config.router_jitter_noise = 0.1
    assert draws_when_training(mixture)


def through_joblib(tuner):
    file = io.BytesIO()
    joblib.dump(tuner, file)
    file.seek(0)
    return joblib.load(file)


COPIES = [copy.deepcopy, lambda tuner: pickle.loads(pickle.dumps(tuner)), through_joblib]


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("where", ["in process", "over HTTP"])
def test_a_fitted_tuner_is_copied_after_execute(copied, where, sequences, monkeypatch):
    token = "a-token-of-the-worker-0123456789"
    monkeypatch.setenv("FHE_ESTIMATORS_TOKEN", token)
    model, settings = make_model(), {"max_length": 16, "max_steps": 1, "batch_size": 4}
    weights = {layer.name: layer.weights for layer in HELoRAFineTuner(model).compile().program_.layers}
    with Served(create_app(LocalWorker(weights), token=token)) as server:
        workers = [HTTPWorker(server.url, token=token)] if where == "over HTTP" else None
        tuner = HELoRAFineTuner(model, workers=workers, **settings).fit(sequences[:4])
        expected, secret = tuner.predict_proba(sequences[:2], fhe="execute"), tuner.program_._encrypted.client
        found = copied(tuner)
        assert found.history_ == tuner.history_
        assert found.program_._encrypted is None and secret is not None
        tuner.program_.use("disable")
        with torch.no_grad():
            ids = torch.tensor(sequences[:2])
            assert torch.equal(found.model_(ids).logits, tuner.model_(ids).logits)  # asked by itself
        np.testing.assert_allclose(found.predict_proba(sequences[:2], fhe="execute"), expected, atol=0.02)
        found.fit(sequences[:4])
        assert len(found.history_) == 1
        if copied is not copy.deepcopy:
            assert token.encode() not in pickle.dumps(tuner)


def test_a_copy_without_weights_says_how_to_ask_it(sequences, tmp_path):
    model = load_model(split("llama", tmp_path) / "client", "causal-lm")
    with pytest.raises(NotCompiledError, match="it was not chosen how to ask them"):
        model(torch.tensor(sequences[:1]))
