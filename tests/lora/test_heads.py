"""A classification head that comes with a model is kept where it fits the labels; else it is said."""

import numpy as np
import pytest
import torch

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.cli import main
from fhe_estimators.exceptions import NotCompiledError
from fhe_estimators.lora import LocalWorker
from fhe_estimators.lora.worker.checkpoint_part import load_worker_part
from tests.lora.architectures import make

TASK = {"task": "sequence-classification", "max_length": 16, "weight_quantizer": "int16"}
SETTINGS = {**TASK, "max_steps": 1, "batch_size": 64, "learning_rate": 1e-3}
NAMES = {0: "steady", 1: "fast", 2: "slow"}


def classifier(names=NAMES, kind="Bert", **more):
    """A model whose head knows its classes by name."""
    n_classes = 3 if names is None else len(names)
    model = make(kind, "ForSequenceClassification", num_labels=n_classes, **more)
    if names is not None:
        model.config.id2label = dict(names)
    return model


@pytest.fixture(scope="module")
def texts(sequences):
    return [[token or 1 for token in ids] for ids in sequences]  # 0 pads


def logits(model, texts):
    with torch.no_grad():
        ids = torch.tensor(texts)
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


def first_loss(model, texts, outputs):
    return float(torch.nn.functional.cross_entropy(logits(model, texts), torch.tensor(outputs)))


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "Llama"])
@pytest.mark.parametrize("from_folder", [False, True])
def test_a_trained_head_is_kept_and_labels_are_found_by_name(kind, from_folder, texts, labels, tmp_path):
    model = classifier(kind=kind)
    expected = logits(model, texts)
    model.save_pretrained(tmp_path)
    tuner = HELoRAFineTuner(tmp_path if from_folder else model, **SETTINGS).compile()
    assert tuner.classes_.tolist() == ["fast", "slow", "steady"]  # sorted, as columns of predict_proba are
    found = torch.from_numpy(tuner.predict_proba(texts))  # before any training
    torch.testing.assert_close(found, expected.softmax(dim=1)[:, [1, 2, 0]], atol=1e-3, rtol=1e-2)
    outputs = [{"steady": 0, "fast": 1, "slow": 2}[label] for label in labels]
    tuner.fit(texts, labels, fhe="disable", eval_set=(texts, labels))
    assert tuner.history_[0]["loss"] == pytest.approx(first_loss(model, texts, outputs), rel=1e-3)
    assert tuner.history_[0]["eval_accuracy"] == pytest.approx(tuner.score(texts, labels))
    again = tuner.fit(texts, labels, fhe="disable").history_
    assert again[0]["loss"] == tuner.history_[0]["loss"]  # from the head that it came with, not the trained one
    merged = tuner.merge()
    assert merged.config.id2label == NAMES
    torch.testing.assert_close(logits(merged, texts), logits(tuner.model_, texts), atol=2e-3, rtol=1e-2)


@pytest.mark.parametrize(
    ("names", "y", "outputs", "classes"),
    [
        (NAMES, ["slow", "fast"], [2, 1], ["fast", "slow", "steady"]),  # not all of them
        (NAMES, [2, 1], [2, 1], [0, 1, 2]),  # by number
        ({0: "2", 1: "3", 2: "1"}, [1, 3], [2, 1], [1, 2, 3]),  # numbers as names
        ({0: "True", 1: "False"}, [False, True], [1, 0], [False, True]),
        (None, [2, 0], [2, 0], [0, 1, 2]),  # without names
        (None, [2.0, 0.0], [2, 0], [0, 1, 2]),
        (None, ["LABEL_2", "LABEL_0"], [2, 0], ["LABEL_0", "LABEL_1", "LABEL_2"]),
    ],
)
def test_labels_that_fit(names, y, outputs, classes, texts):
    model, n = classifier(names), len(texts) // 2
    tuner = HELoRAFineTuner(model, **SETTINGS).fit(texts, np.array(y * n), fhe="disable")
    assert tuner.history_[0]["loss"] == pytest.approx(first_loss(model, texts, outputs * n), rel=1e-3)
    assert tuner.classes_.tolist() == classes
    assert tuner.predict_proba(texts).shape == (len(texts), len(classes))
    assert set(tuner.predict(texts).tolist()) <= set(classes)


def test_classes_without_names_are_taken_in_order_with_a_warning(texts, labels):
    model = classifier(None)
    with pytest.warns(RuntimeWarning, match=r"no names \(LABEL_0.*in their order, \['fast', 'slow', 'steady'\]"):
        tuner = HELoRAFineTuner(model, **SETTINGS).fit(texts, labels, fhe="disable")
    outputs = np.searchsorted(["fast", "slow", "steady"], labels)
    assert tuner.history_[0]["loss"] == pytest.approx(first_loss(model, texts, outputs), rel=1e-3)


@pytest.mark.parametrize(
    ("names", "y"),
    [
        (NAMES, ["slow", "quick"]),
        (NAMES, [1, 3]),
        (NAMES, [True, False]),
        ({0: "no", 1: "yes"}, ["no", "yes", "maybe"]),
        (None, ["a", "b"]),
        ({0: "same", 1: "same"}, ["same", "other"]),
    ],
)
def test_labels_that_do_not_fit_are_an_error_unless_the_head_is_reset(names, y, texts):
    model, y = classifier(names), np.array(y * (24 // len(y)))
    message = r"head has the classes \[.*\], but y has \[.*\]: pass reset_head=True"
    with pytest.raises(ValueError, match=message):
        HELoRAFineTuner(model, **SETTINGS).fit(texts, y, fhe="disable")
    tuner = HELoRAFineTuner(model, reset_head=True, **SETTINGS).fit(texts, y, fhe="disable")
    assert tuner.classes_.tolist() == sorted(set(y.tolist()))
    assert tuner.merge().config.id2label == {n: str(label) for n, label in enumerate(sorted(set(y.tolist())))}


def test_reset_head_begins_with_a_fresh_one(texts, labels):
    kept, reset = (HELoRAFineTuner(classifier(), reset_head=reset, **SETTINGS) for reset in (False, True))
    kept.fit(texts, labels, fhe="disable")
    with pytest.raises(Exception, match="not fitted"):
        reset.compile().predict(texts)
    reset.fit(texts, labels, fhe="disable")
    assert reset.history_[0]["loss"] != pytest.approx(kept.history_[0]["loss"], rel=0.01)
    with pytest.raises(NotCompiledError, match="reset_head changed"):
        kept.set_params(reset_head=True).predict(texts)
    assert kept.fit(texts, labels, fhe="disable").history_[0]["loss"] == reset.history_[0]["loss"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"names": {0: "score"}}, r"head is for regression \(1 outputs, \['score'\]\).*reset_head=True"),
        ({"problem_type": "multi_label_classification"}, r"head is for multi_label_classification.*reset_head=True"),
    ],
)
def test_heads_for_something_else_are_refused(more, message, texts, labels):
    model = classifier(**more)
    with pytest.raises(ValueError, match=message):
        HELoRAFineTuner(model, **SETTINGS).compile()
    HELoRAFineTuner(model, reset_head=True, **SETTINGS).fit(texts, labels, fhe="disable")


def test_a_split_classifier_keeps_its_head(texts, labels, tmp_path):
    model = classifier()
    model.save_pretrained(tmp_path / "model")
    assert main(["split", str(tmp_path / "model"), "--out", str(tmp_path / "parts")]) == 0
    worker = LocalWorker(load_worker_part(tmp_path / "parts" / "workers"))
    settings = {**TASK, "weight_quantizer": "int8", "max_steps": 1}
    split = HELoRAFineTuner(tmp_path / "parts" / "client", workers=[worker], **settings).compile()
    whole = HELoRAFineTuner(model, **settings).compile()
    np.testing.assert_allclose(split.predict_proba(texts), whole.predict_proba(texts), atol=0.02)
    with pytest.raises(ValueError, match="reset_head=True"):
        split.fit(texts, [f"{label}er" for label in labels])


def test_training_states_belong_to_the_head_that_was_begun_with(texts, labels, tmp_path):
    settings = {**SETTINGS, "checkpoint_dir": tmp_path}
    HELoRAFineTuner(classifier(), **settings).fit(texts, labels, fhe="disable")
    other = classifier()
    other.classifier.weight.data[0] += 1
    with pytest.raises(ValueError, match=r"differs in head\."):
        HELoRAFineTuner(other, **settings).fit(texts, labels, fhe="disable")
