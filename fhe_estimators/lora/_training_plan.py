"""What `HELoRAFineTuner.fit` was given, as a plan of the training."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight

from .client.heads import has_trained_head, head_names
from .model.loading import CAUSAL_LM
from .training.evaluation import EvaluationPlan
from .training.examples import Example, predictable_pieces
from .training.labels import HeadClasses, encode_known_labels, encode_labels, labels_of_texts, with_token_labels
from .training.loop import TrainingPlan
from .training.optimization import OptimizationPlan


def training_plan(tuner: Any, X: Any, y: Any, sample_weight: Any, eval_set: Any) -> TrainingPlan:
    """Data and settings of a training; the tuner's ``classes_`` are set for classification."""
    texts = tuner._tokenize(X, append_eos=tuner.append_eos)
    labels = None
    if tuner.task == CAUSAL_LM:
        texts = with_token_labels(texts, y, tuner.program_.vocabulary_size)
    else:
        classes, codes = encode_labels(y, len(texts))
        head = head_classes(tuner, classes)
        tuner.classes_, tuner._head_classes, labels = head.labels, head, head.encode(classes)[codes]
    weights = _weights(tuner, y, sample_weight, len(texts))
    examples, weights = _examples(tuner, texts, weights)
    return TrainingPlan(
        examples=examples,
        labels=labels,
        weights=weights,
        pad=tuner.pad_token_,
        epochs=tuner.epochs,
        batch_size=tuner.batch_size,
        gradient_accumulation_steps=tuner.gradient_accumulation_steps,
        max_steps=tuner.max_steps,
        seed=int(check_random_state(tuner.random_state).randint(2**31 - 1)),
        optimization=OptimizationPlan(
            learning_rate=tuner.learning_rate,
            weight_decay=tuner.weight_decay,
            max_grad_norm=tuner.max_grad_norm,
            lr_scheduler_type=tuner.lr_scheduler_type,
            warmup_steps=tuner.warmup_steps,
            lr_scheduler_kwargs=tuner.lr_scheduler_kwargs,
        ),
        evaluation=_evaluation_plan(tuner, eval_set),
    )


def head_classes(tuner: Any, classes: np.ndarray) -> HeadClasses:
    """Which output of the head is whose: of the one that came with the model, or of a fresh one."""
    model = tuner.program_.model
    if not has_trained_head(model):
        return HeadClasses.of_fresh_head(classes)
    return HeadClasses.of_trained_head(classes, head_names(model))


def _examples(tuner: Any, texts: list[Example], weights: np.ndarray | None) -> tuple[list[Example], np.ndarray | None]:
    """Examples of at most ``max_length`` tokens, each with the weight of its text."""
    if tuner.task != CAUSAL_LM:
        return texts, weights
    if weights is None:
        return predictable_pieces(texts, tuner.max_length), None
    found: list[Example] = []
    kept: list[float] = []
    for text, weight in zip(texts, weights, strict=True):
        if text.n_predictions:
            parts = predictable_pieces([text], tuner.max_length)
            found, kept = found + parts, kept + [float(weight)] * len(parts)
    return found or predictable_pieces(texts, tuner.max_length), np.array(kept)


def _weights(tuner: Any, y: Any, sample_weight: Any, n_texts: int) -> np.ndarray | None:
    """The weight of each text; None if all count the same."""
    weights = None
    if sample_weight is not None:
        weights = np.asarray(sample_weight, dtype=float)
        if weights.shape != (n_texts,):
            raise ValueError(
                f"sample_weight has shape {weights.shape}, expected ({n_texts},): a weight for every text."
            )
        if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
            raise ValueError("sample_weight must hold finite numbers of at least 0, not all of them 0.")
    if tuner.class_weight is None:
        return weights
    if tuner.task == CAUSAL_LM:
        raise ValueError("class_weight is for task='sequence-classification'; language models take sample_weight.")
    _check_class_weight(tuner.class_weight, tuner.classes_)
    balanced = compute_sample_weight(tuner.class_weight, labels_of_texts(y, n_texts))
    return balanced if weights is None else weights * balanced


def _check_class_weight(class_weight: Any, classes: np.ndarray) -> None:
    if isinstance(class_weight, str) and class_weight == "balanced":
        return
    if not isinstance(class_weight, dict):
        raise ValueError(f"class_weight={class_weight!r} must be a dict of weights by class, 'balanced' or None.")
    unknown = [label for label in class_weight if label not in classes.tolist()]
    if unknown:
        raise ValueError(f"class_weight has weights for {unknown}, which are not among the classes of y.")
    if any(not 0 <= float(weight) < np.inf for weight in class_weight.values()):
        raise ValueError("class_weight must hold finite numbers of at least 0.")


def _evaluation_plan(tuner: Any, eval_set: Any) -> EvaluationPlan | None:
    if eval_set is None:
        wanting = [name for name in ("early_stopping", "eval_steps") if getattr(tuner, name) is not None]
        wanting += ["lr_scheduler_type"] if tuner.lr_scheduler_type == "reduce_lr_on_plateau" else []
        if wanting:
            value = getattr(tuner, wanting[0])
            raise ValueError(f"{wanting[0]}={value!r} needs texts to evaluate on: pass eval_set to fit.")
        return None
    X, y = _split_eval_set(eval_set, causal=tuner.task == CAUSAL_LM)
    texts = tuner._tokenize(X)
    labels = None
    if tuner.task == CAUSAL_LM:
        texts = with_token_labels(texts, y, tuner.program_.vocabulary_size)
    else:
        labels = encode_known_labels(y, len(texts), tuner._head_classes)
    return EvaluationPlan(
        examples=_examples(tuner, texts, None)[0],
        labels=labels,
        pad=tuner.pad_token_,
        batch_size=tuner.batch_size,
        every=tuner.eval_steps,
        patience=tuner.early_stopping,
    )


def _split_eval_set(eval_set: Any, *, causal: bool) -> tuple[Any, Any]:
    """Texts and labels; XGBoost's form, a list of one tuple, is accepted, too."""
    if isinstance(eval_set, list) and len(eval_set) == 1 and isinstance(eval_set[0], tuple):
        eval_set = eval_set[0]
    if isinstance(eval_set, tuple) and len(eval_set) == 2:
        return eval_set
    if causal:
        return eval_set, None
    raise ValueError("eval_set must be a tuple of texts and their labels, (X, y), for classification.")
