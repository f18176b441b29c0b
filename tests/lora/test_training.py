"""Schedules, weights, evaluation, early stopping and callbacks, against an independent float32 loop."""

import numpy as np
import pytest
import torch
from transformers import EarlyStoppingCallback, TrainerCallback, get_scheduler

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.exceptions import WorkerError
from tests.lora.reference import Recorder, peft_model, relative_error, train

FULL = {"batch_size": 64, "max_length": 16, "learning_rate": 1e-2, "weight_quantizer": "int16"}
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "gate_proj", "down_proj"]


def losses(tuner):
    return [entry["loss"] for entry in tuner.history_]


def token_loss(sequences, weights):
    ids, weights = torch.tensor(sequences), torch.tensor(weights).float()

    def loss(model):
        logits = model(ids).logits[:, :-1].log_softmax(-1)
        found = -logits.gather(-1, ids[:, 1:, None])[..., 0]
        return (found * weights[:, None]).sum() / (weights.sum() * found.shape[1])

    return loss


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant", "polynomial"])
def test_schedules_decay_clipping_and_weights_are_those_of_a_plain_loop(kind, llama, sequences):
    recorder, weights = Recorder(), np.arange(24) % 3
    tuner = HELoRAFineTuner(
        llama, epochs=6, lr_scheduler_type=kind, warmup_steps=2, weight_decay=0.3, max_grad_norm=0.05,
        callbacks=[recorder], **FULL,
    ).fit(sequences, fhe="disable", sample_weight=weights)  # fmt: skip
    dummy = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-2)
    schedule = get_scheduler("constant_with_warmup" if kind == "constant" else kind, dummy, 2, 6)
    rates = []
    for _ in range(6):
        rates.append(dummy.param_groups[0]["lr"])
        dummy.step()
        schedule.step()
    assert [entry["learning_rate"] for entry in tuner.history_] == rates and rates[0] == 0 and rates[1] == 5e-3
    plain = peft_model(llama, recorder.start, target_modules=TARGETS, task_type="CAUSAL_LM")
    expected, _ = train(plain, token_loss(sequences, weights), rates, weight_decay=0.3, max_grad_norm=0.05)
    np.testing.assert_allclose(losses(tuner), expected, rtol=1e-3)
    assert expected[-1] < expected[0] - 0.01
    found = {name: p for name, p in tuner.model_.named_parameters() if name in recorder.start}
    assert relative_error(found, {n: p for n, p in plain.named_parameters() if p.requires_grad}) < 0.01
    assert tuner.history_[0]["gradient_norm"] > 0.05


def test_a_share_of_the_steps_warms_up_and_a_plateau_lowers_the_rate(llama, sequences):
    tuner = HELoRAFineTuner(llama, epochs=10, warmup_steps=0.2, **FULL).fit(sequences, fhe="disable")
    assert [entry["learning_rate"] for entry in tuner.history_][:4] == [0, 5e-3, 1e-2, 1e-2]
    settings = {**FULL, "learning_rate": 1e-5, "lr_scheduler_type": "reduce_lr_on_plateau", "epochs": 4}
    tuner = HELoRAFineTuner(llama, lr_scheduler_kwargs={"patience": 0, "factor": 0.5, "threshold": 0.5}, **settings)
    tuner.fit(sequences, fhe="disable", eval_set=sequences)
    assert [entry["learning_rate"] for entry in tuner.history_] == [1e-5, 1e-5, 5e-6, 2.5e-6]


def test_weights_count_as_repeated_texts_do(llama, sequences, labels):
    counts = np.arange(24) % 3
    repeated = np.repeat(np.arange(24), counts)
    for task, y in (("causal-lm", None), ("sequence-classification", labels)):
        settings = {**FULL, "task": task, "epochs": 3}
        weighted = HELoRAFineTuner(llama, **settings).fit(sequences, y, fhe="disable", sample_weight=counts)
        texts, y = [sequences[i] for i in repeated], None if y is None else y[repeated]
        plain = HELoRAFineTuner(llama, **settings).fit(texts, y, fhe="disable")
        np.testing.assert_allclose(losses(weighted), losses(plain), rtol=1e-4)
        small = HELoRAFineTuner(llama, **{**settings, "batch_size": 5, "gradient_accumulation_steps": 5})
        small.fit(sequences, None if y is None else labels, fhe="disable", sample_weight=counts)
        np.testing.assert_allclose(losses(small), losses(plain), rtol=1e-4)


def test_class_weights_count_as_sample_weights_do(llama, sequences, labels):
    settings = {**FULL, "task": "sequence-classification", "epochs": 2}
    by_class = {"slow": 3, "steady": 0.5}  # and 1 for what is not named
    found = HELoRAFineTuner(llama, class_weight=by_class, **settings)
    found.fit(sequences, labels, fhe="disable", sample_weight=np.arange(24))
    weights = np.array([by_class.get(label, 1) for label in labels]) * np.arange(24)
    expected = HELoRAFineTuner(llama, **settings).fit(sequences, labels, fhe="disable", sample_weight=weights)
    np.testing.assert_allclose(losses(found), losses(expected), rtol=1e-6)
    balanced = HELoRAFineTuner(llama, class_weight="balanced", **settings).fit(sequences, labels, fhe="disable")
    share = {label: 24 / (3 * (labels == label).sum()) for label in set(labels)}
    expected = HELoRAFineTuner(llama, class_weight=share, **settings).fit(sequences, labels, fhe="disable")
    np.testing.assert_allclose(losses(balanced), losses(expected), rtol=1e-6)


OVERFITTING = {**FULL, "learning_rate": 0.1, "epochs": 30}


def test_early_stopping_keeps_the_best_adapter(llama, sequences):
    train_set, held_out = sequences[:2], sequences[12:]
    tuner = HELoRAFineTuner(llama, early_stopping=3, **OVERFITTING).fit(train_set, fhe="disable", eval_set=held_out)
    found = [entry["eval_loss"] for entry in tuner.history_]
    best = int(np.argmin(found))
    assert len(found) == best + 4 < 30
    assert np.log(tuner.perplexity(held_out)) == pytest.approx(min(found), rel=1e-5)
    last = HELoRAFineTuner(llama, **OVERFITTING).fit(train_set, fhe="disable", eval_set=held_out)
    assert len(last.history_) == 30
    np.testing.assert_allclose([entry["eval_loss"] for entry in last.history_[: len(found)]], found, rtol=1e-6)
    assert np.log(last.perplexity(held_out)) == pytest.approx(last.history_[-1]["eval_loss"], rel=1e-5)


def test_a_stopped_training_resumes_with_its_best_adapter(llama, sequences, tmp_path):
    settings = {**OVERFITTING, "early_stopping": 3, "checkpoint_steps": 1, "lr_scheduler_type": "linear"}
    whole = HELoRAFineTuner(llama, **settings).fit(sequences[:2], fhe="disable", eval_set=sequences[12:])
    stop = len(whole.history_) - 2  # after the best one

    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == stop:
                raise KeyboardInterrupt

    interrupted = HELoRAFineTuner(llama, checkpoint_dir=tmp_path, callbacks=[Stop()], **settings)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(sequences[:2], fhe="disable", eval_set=sequences[12:])
    for _ in range(2):  # the rest, and then nothing
        resumed = HELoRAFineTuner(llama, checkpoint_dir=tmp_path, **settings)
        resumed.fit(sequences[:2], fhe="disable", eval_set=sequences[12:])
        np.testing.assert_allclose(losses(resumed), losses(whole), rtol=1e-6)
        assert resumed.perplexity(sequences[12:]) == pytest.approx(whole.perplexity(sequences[12:]), rel=1e-6)


def test_evaluation_of_a_classifier(llama, sequences, labels):
    tuner = HELoRAFineTuner(llama, task="sequence-classification", epochs=3, eval_steps=2, **{**FULL, "batch_size": 8})
    tuner.fit(sequences, labels, fhe="disable", eval_set=[(sequences[:10], labels[:10])])
    assert [entry["step"] for entry in tuner.history_ if "eval_loss" in entry] == [1, 3, 5, 7, 8]
    entry = tuner.history_[-1]
    assert entry["eval_accuracy"] == tuner.score(sequences[:10], labels[:10])
    right = tuner.predict_proba(sequences[:10])[np.arange(10), np.searchsorted(tuner.classes_, labels[:10])]
    assert entry["eval_loss"] == pytest.approx(-np.log(right).mean(), rel=1e-4)


def test_evaluation_does_not_change_training_and_is_paid_for(llama, sequences):
    settings = {**FULL, "lora_dropout": 0.2, "batch_size": 12, "max_steps": 2}
    plain = HELoRAFineTuner(llama, **settings).fit(sequences, fhe="disable")
    evaluated = HELoRAFineTuner(llama, eval_steps=1, **settings).fit(sequences, fhe="disable", eval_set=sequences[:3])
    assert losses(evaluated) == losses(plain)
    settings["weight_quantizer"] = "int8"
    plain = HELoRAFineTuner(llama, **settings).fit(sequences)
    evaluated = HELoRAFineTuner(llama, **settings).fit(sequences, eval_set=sequences[:3])
    sent = [[entry["upload_bytes"] for entry in tuner.history_] for tuner in (plain, evaluated)]
    assert sent[1][0] == sent[0][0] and sent[1][1] > sent[0][1]


class Events(TrainerCallback):
    def __init__(self):
        self.seen = []

    def __getattribute__(self, name):
        if name.startswith("on_"):
            seen = object.__getattribute__(self, "seen")
            return lambda args, state, control, **kwargs: seen.append((name[3:], state.global_step, sorted(kwargs)))
        return object.__getattribute__(self, name)


def test_callbacks_hear_what_those_of_transformers_hear(llama, sequences):
    events = Events()
    settings = {**FULL, "batch_size": 6, "gradient_accumulation_steps": 2, "callbacks": [events]}
    HELoRAFineTuner(llama, **settings).fit(sequences, fhe="disable", eval_set=sequences[:2])
    step = ["step_begin", "substep_end", "pre_optimizer_step", "optimizer_step", "step_end", "log"]
    expected = ["init_end", "train_begin", "epoch_begin", *step, *step, "evaluate", "epoch_end", "save", "train_end"]
    assert [event for event, _, _ in events.seen] == expected
    assert [number for event, number, _ in events.seen if event == "step_end"] == [1, 2]
    assert {"model", "optimizer", "lr_scheduler", "processing_class"} <= set(events.seen[0][2])


def test_callbacks_are_obeyed(llama, sequences):
    class Obeyed(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_epoch_stop = state.global_step == 1
            control.should_evaluate = state.global_step == 3
            control.should_training_stop = state.global_step == 5
            return control

    tuner = HELoRAFineTuner(llama, callbacks=[Obeyed()], epochs=9, eval_steps=100, **{**FULL, "batch_size": 6})
    tuner.fit(sequences, fhe="disable", eval_set=sequences[:2])
    assert [entry["epoch"] for entry in tuner.history_] == [0, 1, 1, 1, 1]
    assert [number for number, entry in enumerate(tuner.history_, 1) if "eval_loss" in entry] == [3, 5]


class StopsEpochs(TrainerCallback):
    """Ends every epoch after so many of its steps."""

    def __init__(self, after, dies_at=None):
        self.after, self.dies_at, self.n, self.ended = after, dies_at, 0, []

    def __deepcopy__(self, memo):
        return self

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.n = 0

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.dies_at:
            raise KeyboardInterrupt

    def on_step_end(self, args, state, control, **kwargs):
        self.n += 1
        control.should_epoch_stop = self.n == self.after

    def on_epoch_end(self, args, state, control, **kwargs):
        self.ended.append(state.global_step)


def test_an_epoch_that_a_callback_stops_is_over(llama, sequences, tmp_path):
    settings = {"max_length": 16, "batch_size": 8, "epochs": 3}  # three steps an epoch
    callback = StopsEpochs(2)
    tuner = HELoRAFineTuner(llama, callbacks=[callback], **settings)
    tuner.fit(sequences, fhe="disable", eval_set=sequences[:4])
    steps = [(entry["epoch"], entry["step"]) for entry in tuner.history_]
    assert steps == [
        (0, 0),
        (0, 1),
        (1, 3),
        (1, 4),
        (2, 6),
        (2, 7),
    ]
    assert callback.ended == [2, 4, 6]
    assert ["eval_loss" in entry for entry in tuner.history_] == [False, True] * 3
    interrupted = HELoRAFineTuner(llama, checkpoint_dir=tmp_path, **settings)
    with pytest.raises(KeyboardInterrupt):
        interrupted.set_params(callbacks=[StopsEpochs(2, dies_at=2)]).fit(sequences, fhe="disable")
    interrupted.set_params(callbacks=[StopsEpochs(2)]).fit(sequences, fhe="disable")
    assert losses(interrupted) == losses(tuner)


def test_early_stopping_of_transformers_stops_as_our_own(llama, sequences):
    ours = HELoRAFineTuner(llama, early_stopping=3, **OVERFITTING)
    ours.fit(sequences[:2], fhe="disable", eval_set=sequences[12:])
    theirs = HELoRAFineTuner(llama, callbacks=[EarlyStoppingCallback(3)], **OVERFITTING)
    theirs.fit(sequences[:2], fhe="disable", eval_set=sequences[12:])
    assert losses(theirs) == losses(ours)


def test_an_interrupt_keeps_what_was_trained(llama, sequences):
    class Interrupt(TrainerCallback):
        def __init__(self, error):
            self.error = error

        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 2:
                raise self.error

    tuner = HELoRAFineTuner(llama, callbacks=[Interrupt(KeyboardInterrupt())], epochs=5, **FULL)
    with pytest.raises(KeyboardInterrupt):
        tuner.fit(sequences, fhe="disable")
    short = HELoRAFineTuner(llama, epochs=2, **FULL).fit(sequences, fhe="disable")
    assert losses(tuner) == losses(short) and not tuner.model_.training
    assert tuner.perplexity(sequences) == short.perplexity(sequences)
    failing = HELoRAFineTuner(llama, callbacks=Interrupt(WorkerError("gone")), epochs=5, **FULL).compile()
    base = failing.perplexity(sequences)
    with pytest.raises(WorkerError):
        failing.fit(sequences, fhe="disable")
    assert failing.perplexity(sequences) == base  # of an error, nothing half-trained is left


class TestBadInput:
    @pytest.mark.parametrize(
        ("settings", "fit", "message"),
        [
            ({"lr_scheduler_type": "cosin"}, {}, "lr_scheduler_type='cosin' is unknown.*'cosine'"),
            ({"lr_scheduler_type": "linear", "lr_scheduler_kwargs": {"x": 1}}, {}, "lr_scheduler_kwargs.*'linear'"),
            ({"lr_scheduler_kwargs": {"x": 1}}, {}, "lr_scheduler_kwargs"),
            ({"lr_scheduler_type": "reduce_lr_on_plateau"}, {}, "pass eval_set"),
            ({"warmup_steps": -1}, {}, "warmup_steps=-1"),
            ({"warmup_steps": 1.5}, {}, "warmup_steps=1.5"),
            ({"weight_decay": float("nan")}, {}, "weight_decay=nan"),
            ({"max_grad_norm": 0}, {}, "max_grad_norm=0"),
            ({"early_stopping": 0}, {}, "early_stopping=0"),
            ({"early_stopping": 2}, {}, "early_stopping=2.*pass eval_set"),
            ({"eval_steps": 2}, {}, "eval_steps=2.*pass eval_set"),
            ({"class_weight": "balanced"}, {}, "language models take sample_weight"),
            ({}, {"sample_weight": [1, 2]}, r"sample_weight has shape \(2,\), expected \(24,\)"),
            ({}, {"sample_weight": [-1] * 24}, "sample_weight must hold"),
            ({}, {"sample_weight": [0] * 24}, "sample_weight must hold"),
        ],
    )
    def test_of_language_models(self, settings, fit, message, llama, sequences):
        with pytest.raises(ValueError, match=message):
            HELoRAFineTuner(llama, **settings).fit(sequences, fhe="disable", **fit)

    @pytest.mark.parametrize(
        ("settings", "eval_set", "message"),
        [
            ({"class_weight": {"quick": 1}}, None, "'quick'.*not among the classes"),
            ({"class_weight": "equal"}, None, "class_weight='equal'"),
            ({"class_weight": {"slow": -1}}, None, "class_weight must hold"),
            ({}, [[1, 2]], "eval_set must be a tuple"),
            ({}, ([[1, 2]], ["quick"]), "'quick'.*not among the classes"),
            ({}, ([[1, 2]], ["slow", "fast"]), "eval_set.*a label for every text"),
        ],
    )
    def test_of_classifiers(self, settings, eval_set, message, llama, sequences, labels):
        tuner = HELoRAFineTuner(llama, task="sequence-classification", **settings)
        with pytest.raises(ValueError, match=message):
            tuner.fit(sequences, labels, fhe="disable", eval_set=eval_set)

    def test_callbacks(self, llama, sequences):
        with pytest.raises(TypeError, match="TrainerCallback"):
            HELoRAFineTuner(llama, callbacks=[print]).fit(sequences, fhe="disable")
