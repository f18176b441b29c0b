import json
import warnings

import numpy as np
import pytest
import torch
from huggingface_hub.utils import are_progress_bars_disabled
from peft import PeftModel
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from transformers.utils import logging

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.backends.lwe import LWEBackend
from fhe_estimators.exceptions import NonFiniteError, UnsupportedModelError, WorkerError
from tests.lora.models import make_model

SETTINGS = {"max_length": 16, "learning_rate": 1e-2, "epochs": 2}


def losses(tuner):
    return np.array([entry["loss"] for entry in tuner.history_])


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gpt2"])
def test_execute_follows_the_clear_model_and_simulate(kind, sequences):
    model = make_model(kind)
    clear, simulated, executed = (
        HELoRAFineTuner(model, **SETTINGS).fit(sequences, fhe=fhe) for fhe in ("disable", "simulate", "execute")
    )
    assert losses(clear)[-1] < losses(clear)[0] - 0.05  # it learns
    for other in (simulated, executed):
        np.testing.assert_allclose(losses(other), losses(clear), rtol=0.01)
    assert executed.perplexity(sequences, fhe="execute") == pytest.approx(executed.perplexity(sequences), rel=0.01)
    entry = executed.history_[0]
    assert entry["upload_bytes"] > 0 and entry["download_bytes"] > 0 and entry["client_crypto_seconds"] > 0
    assert entry["upload_bytes"] % 3 == 0
    assert losses(executed).tolist() != losses(clear).tolist()  # there was noise


def test_int8_weights_change_the_model_little(llama, sequences):
    tuner = HELoRAFineTuner(llama, **SETTINGS).fit(sequences, fhe="disable")
    tuner16 = HELoRAFineTuner(llama, weight_quantizer="int16", **SETTINGS).fit(sequences, fhe="disable")
    ids = torch.tensor(sequences[:4])
    with torch.no_grad():
        for fitted, bound in ((tuner, 0.02), (tuner16, 2e-4)):
            with fitted.model_.disable_adapter():
                ours, theirs = fitted.model_(ids).logits, llama(ids).logits
            assert (ours - theirs).norm() < bound * theirs.norm()


@pytest.mark.parametrize("quantizer", ["int16", "int8-static-tensor", "int8-dynamic-tensor", "int8-dynamic-token"])
def test_weight_quantizers_train_encrypted(quantizer, llama, sequences):
    tuner = HELoRAFineTuner(llama, weight_quantizer=quantizer, **SETTINGS)
    tuner.compile(sequences).fit(sequences, fhe="execute")
    clear = HELoRAFineTuner(llama, weight_quantizer=quantizer, **SETTINGS).compile(sequences)
    clear.fit(sequences, fhe="disable")
    np.testing.assert_allclose(losses(tuner), losses(clear), rtol=0.02)


def test_same_seed_same_result(llama, sequences):
    first, second = (HELoRAFineTuner(llama, **SETTINGS).fit(sequences, fhe="simulate") for _ in range(2))
    assert losses(first).tolist() == losses(second).tolist()
    third = HELoRAFineTuner(llama, **{**SETTINGS, "random_state": 1}).fit(sequences, fhe="simulate")
    assert losses(first).tolist() != losses(third).tolist()


def test_fit_does_not_touch_the_model_it_was_given_nor_the_global_random_state(llama, sequences):
    before = {name: value.clone() for name, value in llama.state_dict().items()}
    state = torch.get_rng_state()
    HELoRAFineTuner(llama, max_steps=1, **SETTINGS).fit(sequences, fhe="disable")
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in llama.state_dict().items())


def test_refit_starts_again(llama, sequences):
    tuner = HELoRAFineTuner(llama, **SETTINGS).fit(sequences, fhe="disable")
    first = losses(tuner)
    assert losses(tuner.fit(sequences, fhe="disable")).tolist() == first.tolist()


def test_gradient_accumulation_equals_a_larger_batch(llama, sequences):
    large = HELoRAFineTuner(llama, batch_size=8, **SETTINGS).fit(sequences, fhe="disable")
    small = HELoRAFineTuner(llama, batch_size=2, gradient_accumulation_steps=4, **SETTINGS).fit(
        sequences, fhe="disable"
    )
    np.testing.assert_allclose(losses(small), losses(large), rtol=1e-4)


def test_accumulated_batches_count_by_their_tokens(llama, sequences):
    """As in one larger batch, whose loss is the mean over all of its tokens."""
    uneven = [ids[: 2 + number % 11] for number, ids in enumerate(sequences)]
    batches = [{"batch_size": 8}, {"batch_size": 2, "gradient_accumulation_steps": 4}]
    large, small = (HELoRAFineTuner(llama, **sizes, **SETTINGS).fit(uneven, fhe="disable") for sizes in batches)
    np.testing.assert_allclose(losses(small), losses(large), rtol=1e-4)


def test_adapter_is_pefts_own_format(tmp_path, sequences):
    for kind in ("llama", "gpt2"):
        model = make_model(kind)
        tuner = HELoRAFineTuner(model, weight_quantizer="int16", **SETTINGS).fit(sequences, fhe="disable")
        tuner.save_adapter(tmp_path / kind)
        loaded = PeftModel.from_pretrained(make_model(kind), tmp_path / kind)
        ids = torch.tensor(sequences[:2])
        with torch.no_grad():
            torch.testing.assert_close(loaded(ids).logits, tuner.model_(ids).logits, atol=5e-3, rtol=1e-3)
        assert {file.name for file in (tmp_path / kind).iterdir()} >= {
            "adapter_model.safetensors",
            "adapter_config.json",
        }
        assert json.loads((tmp_path / kind / "adapter_config.json").read_text())["r"] == 8


def test_classification_in_a_grid_search(llama, sequences, labels):
    settings = {"max_length": 16, "epochs": 20, "batch_size": 24, "learning_rate": 1e-2}
    search = GridSearchCV(HELoRAFineTuner(llama, task="sequence-classification", **settings), {"r": [2, 4]}, cv=2)
    search.fit(sequences, labels, fhe="simulate")
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_
    assert set(best.classes_) == set(labels)
    probabilities = best.predict_proba(sequences)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert best.score(sequences, labels) > 0.8
    assert (best.predict(sequences, fhe="execute") == best.predict(sequences)).mean() > 0.9


def test_clone_and_parameters(llama):
    tuner = HELoRAFineTuner(llama, r=3)
    copied = clone(tuner)
    assert copied.get_params()["r"] == 3
    assert copied.model is not llama
    assert "HELoRAFineTuner" in repr(HELoRAFineTuner("folder"))


def test_predictions_of_a_language_model(llama, sequences):
    tuner = HELoRAFineTuner(llama, **SETTINGS).fit(sequences, fhe="disable")
    assert tuner.predict_proba(sequences[:3]).shape == (3, 61)
    assert tuner.predict(sequences[:3]).shape == (3,)
    assert tuner.score(sequences) == pytest.approx(-np.log(tuner.perplexity(sequences)))
    (continued,) = tuner.generate([sequences[0][:4]], max_new_tokens=3, fhe="execute")
    assert len(continued) <= 3
    assert continued[0] == tuner.predict([sequences[0][:4]])[0]


def test_resuming_from_a_checkpoint_gives_the_same_result(llama, sequences, tmp_path):
    settings = {**SETTINGS, "lora_dropout": 0.1, "batch_size": 4, "checkpoint_steps": 2}
    whole = HELoRAFineTuner(llama, **settings).fit(sequences, fhe="disable")
    HELoRAFineTuner(llama, max_steps=4, checkpoint_dir=tmp_path, **settings).fit(sequences, fhe="disable")
    resumed = HELoRAFineTuner(llama, checkpoint_dir=tmp_path, **settings).fit(sequences, fhe="disable")
    np.testing.assert_allclose(losses(resumed), losses(whole), rtol=1e-6)
    assert len(resumed.history_) == len(whole.history_)
    with pytest.raises(ValueError, match="checkpoint"):
        HELoRAFineTuner(llama, r=2, checkpoint_dir=tmp_path, **settings).fit(sequences, fhe="disable")


def test_describe(llama):
    facts = HELoRAFineTuner(llama).compile().program_.describe()
    assert facts["security_bits"] >= 128 and facts["verified"]
    assert facts["upload_bytes_per_value"] == 3
    assert facts["n_remote_layers"] == 8  # q+k+v, o, gate+up, down, in two blocks
    assert "nothing about texts" in facts["worker_learns"]


def test_precise_parameters_have_less_noise(llama, sequences):
    def error(name):
        tuner = HELoRAFineTuner(llama, backend=LWEBackend(parameters=name), max_steps=1, **SETTINGS)
        tuner.fit(sequences, fhe="disable")
        ids = torch.tensor(sequences)
        logits = {}
        for fhe in ("disable", "execute"):
            tuner.program_.use(fhe)
            with torch.no_grad():
                logits[fhe] = tuner.model_(ids).logits
        return float((logits["execute"] - logits["disable"]).norm())

    assert error("precise") < 0.6 * error("fast")


class TestBadInput:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"task": "translation"}, "task='translation'"),
            ({"r": 0}, "r=0 must be an integer of at least 1"),
            ({"batch_size": 2.5}, "batch_size=2.5"),
            ({"learning_rate": -1}, "learning_rate=-1"),
            ({"lora_dropout": 1.0}, "lora_dropout"),
            ({"weight_quantizer": "int4"}, "weight_quantizer='int4' is unknown"),
            ({"backend": "ckks"}, "backend='ckks'"),
            ({"backend": LWEBackend(parameters="tiny")}, "parameters='tiny'"),
            ({"target_modules": ["nothing"]}, "target_modules.*q_proj"),
            ({"weight_quantizer": "int8-static-tensor"}, "calibration"),
        ],
    )
    def test_parameters(self, settings, message, llama, sequences):
        with pytest.raises(ValueError, match=message):
            HELoRAFineTuner(llama, **settings).compile().fit(sequences)

    @pytest.mark.parametrize(
        ("X", "message"),
        [
            ([], "X is empty"),
            ("one text", "single text"),
            (["a text"], "no tokenizer"),
            ([[1, 2], []], r"X\[1\] is empty"),
            ([[1, 61]], "token id 61.*61 tokens"),
            ([[-1, 2]], "token id -1"),
            ([[1], [2]], "two tokens"),
            ([None], r"X\[0\] is neither"),
        ],
    )
    def test_texts(self, X, message, llama):
        with pytest.raises(ValueError, match=message):
            HELoRAFineTuner(llama).fit(X, fhe="disable")

    @pytest.mark.parametrize(
        ("y", "message"), [(None, "y is missing"), (["a"], "y has shape"), (["a"] * 24, "one class")]
    )
    def test_labels(self, y, message, llama, sequences):
        with pytest.raises(ValueError, match=message):
            HELoRAFineTuner(llama, task="sequence-classification").fit(sequences, y, fhe="disable")

    def test_modes(self, llama, sequences):
        with pytest.raises(ValueError, match="fhe='maybe'"):
            HELoRAFineTuner(llama).fit(sequences, fhe="maybe")

    def test_not_fitted(self, llama, sequences):
        tuner = HELoRAFineTuner(llama)
        for method in (tuner.predict, tuner.perplexity, tuner.generate, tuner.save_adapter):
            with pytest.raises(NotFittedError):
                method(sequences)

    def test_model_of_a_wrong_type(self):
        with pytest.raises(TypeError, match="model must be"):
            HELoRAFineTuner(42).compile()

    def test_models_without_linear_layers_or_with_shared_ones(self, llama):
        from fhe_estimators.lora.model.groups import find_groups

        with pytest.raises(UnsupportedModelError, match=r"no nn\.Linear"):
            find_groups(torch.nn.Sequential(torch.nn.Embedding(3, 4)))
        model = make_model()
        model.model.layers[1].mlp.down_proj = model.model.layers[0].mlp.down_proj
        with pytest.raises(UnsupportedModelError, match="under one name"):
            HELoRAFineTuner(model).compile()

    def test_weights_that_are_not_finite(self):
        model = make_model()
        model.model.layers[0].mlp.up_proj.weight.data[0, 0] = float("nan")
        with pytest.raises((ValueError, UnsupportedModelError), match="NaN or infinite"):
            HELoRAFineTuner(model).compile()

    def test_diverging_training_is_skipped_with_a_warning_and_then_stopped(self, sequences):
        model = make_model()
        model.model.embed_tokens.weight.data[5] = float("inf")
        tuner = HELoRAFineTuner(model, batch_size=1, **SETTINGS)
        with (
            pytest.warns(RuntimeWarning, match="was skipped"),
            pytest.raises(NonFiniteError, match="lower learning_rate"),
        ):
            tuner.fit([[5, 6, 7]] * 10, fhe="execute")


def test_a_language_model_can_be_asked_before_it_is_fitted(llama, sequences):
    tuner = HELoRAFineTuner(llama, **SETTINGS)
    for question in (tuner.perplexity, tuner.predict, tuner.predict_proba, tuner.generate):
        with pytest.raises(NotFittedError, match=r"Call compile\(\) to ask the base model, or fit\(X\)"):
            question(sequences)
    base = tuner.compile().perplexity(sequences)
    with torch.no_grad():
        ids = torch.tensor(sequences)
        assert base == pytest.approx(float(llama(ids, labels=ids).loss.exp()), rel=0.01)
    assert tuner.perplexity(sequences, fhe="execute") == pytest.approx(base, rel=0.01)
    assert tuner.score(sequences) == pytest.approx(-np.log(base))
    assert tuner.predict(sequences).shape == (24,) and len(tuner.generate(sequences[:1], max_new_tokens=2)[0]) == 2
    with pytest.raises(NotFittedError):
        tuner.save_adapter("nowhere")

    after = tuner.fit(sequences, fhe="disable").perplexity(sequences)
    assert after < 0.9 * base
    with tuner.model_.disable_adapter():
        assert tuner.perplexity(sequences) == pytest.approx(base)
    assert tuner.compile().perplexity(sequences) == pytest.approx(base)


def test_a_classifier_has_no_answers_before_it_is_fitted(llama, sequences):
    tuner = HELoRAFineTuner(llama, task="sequence-classification", **SETTINGS).compile()
    with pytest.raises(NotFittedError):
        tuner.predict(sequences)


def test_a_failed_fit_leaves_the_base_model(llama, sequences, monkeypatch):
    tuner = HELoRAFineTuner(llama, **SETTINGS).compile()
    base = tuner.perplexity(sequences)
    take_step, steps = torch.optim.AdamW.step, []

    def failing(optimizer):
        steps.append(take_step(optimizer))
        if len(steps) == 2:
            raise WorkerError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(torch.optim.AdamW, "step", failing)
        with pytest.raises(WorkerError):
            tuner.fit(sequences, fhe="disable")
    assert tuner.perplexity(sequences) == base and not tuner.program_.model.training
    uninterrupted = HELoRAFineTuner(llama, **SETTINGS).fit(sequences, fhe="disable")
    assert losses(tuner.fit(sequences, fhe="disable")).tolist() == losses(uninterrupted).tolist()


@pytest.mark.parametrize("bars", [True, False])
def test_quiet_unless_verbose(bars, llama, sequences, tmp_path, capfd):
    llama.save_pretrained(tmp_path / "model")
    (logging.enable_progress_bar if bars else logging.disable_progress_bar)()
    capfd.readouterr()
    try:
        filters = list(warnings.filters)
        for task, y in (("causal-lm", None), ("sequence-classification", [0, 1] * 12)):
            tuner = HELoRAFineTuner(tmp_path / "model", task=task, max_steps=1, **SETTINGS)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                tuner.compile().fit(sequences, y, fhe="execute").predict(sequences)
                tuner.save_adapter(tmp_path / "adapter")
        assert capfd.readouterr() == ("", "")
        assert logging.is_progress_bar_enabled() == bars == (not are_progress_bars_disabled())
        assert warnings.filters == filters
        tuner.set_params(verbose=1).compile()
        assert ("Loading weights" in capfd.readouterr().err) == bars
    finally:
        logging.enable_progress_bar()
