"""What a fine-tuned model is asked: labels, probabilities, losses and texts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..exceptions import NotCompiledError
from ._settings import refuse_changed
from .client.heads import has_trained_head
from .client.split_model import CompiledModel
from .model.loading import CAUSAL_LM, SEQUENCE_CLASSIFICATION
from .training.answers import answer_examples
from .training.examples import Example, pieces
from .training.inference import continuations, mean_loss, probabilities
from .training.labels import HeadClasses, labels_of_texts, with_token_labels
from .training.tokenizing import Tokenization


class PredictionMixin:
    """Predicting methods of `HELoRAFineTuner`.

    Attributes
    ----------
    program_ : CompiledModel
        The client's part of the model.
    classes_ : ndarray of shape (n_classes,)
        Labels by index, for classification.
    tokenizer_ : tokenizer or None
        The tokenizer in use.
    pad_token_ : int
        The token for padding.
    """

    program_: CompiledModel
    classes_: np.ndarray
    tokenizer_: Any
    pad_token_: int
    task: str
    max_length: int
    batch_size: int
    device: str
    completion_only_loss: bool | None
    assistant_only_loss: bool
    _head_classes: HeadClasses

    def predict(self, X: Any, fhe: str | None = None) -> np.ndarray:
        """Labels of texts; for language models, the most probable next token id of each.

        Language models answer before `fit`, too: `compile` suffices to ask the base model. The same holds for
        `predict_proba`, `score`, `perplexity` and `generate`.

        Parameters
        ----------
        X : sequence of texts or of token ids
            Cut to the first ``max_length`` tokens for classification, to the last ones for language models.
        fhe : {"disable", "simulate", "execute"}, default=None
            None stands for ``"disable"`` where the client holds the weights, and ``"execute"`` otherwise.

        Returns
        -------
        labels : ndarray of shape (n_texts,)
            Labels, or token ids.
        """
        best = self.predict_proba(X, fhe=fhe).argmax(axis=1)
        return self.classes_[best] if self.task == SEQUENCE_CLASSIFICATION else best

    def predict_proba(self, X: Any, fhe: str | None = None) -> np.ndarray:
        """Probabilities of classes, or of next tokens.

        Parameters
        ----------
        X : sequence of texts or of token ids
            Texts or token ids, as in `predict`.
        fhe : {"disable", "simulate", "execute"}, default=None
            None stands for ``"disable"`` where the client holds the weights, and ``"execute"`` otherwise.

        Returns
        -------
        probabilities : ndarray of shape (n_texts, n_classes) or (n_texts, vocabulary size)
            Rows sum to 1.
        """
        model = self._use(fhe)
        causal = self.task == CAUSAL_LM
        examples = self._tokenize(X, continues=causal)
        if causal:
            examples = [example.cut(slice(-self.max_length, None)) for example in examples]
        found = probabilities(model, examples, self.pad_token_, self.batch_size, next_token=causal, device=self.device)
        return found if causal else found[:, self._head_classes.outputs]

    def score(self, X: Any, y: Any = None, fhe: str | None = None) -> float:
        """Accuracy for classification; minus the mean loss of a token for language models (greater is better).

        Parameters
        ----------
        X : sequence of texts or of token ids
            Texts that were not trained on, to judge the model by.
        y : sequence of labels, default=None
            True labels, for classification; labels of tokens for language models, as in `fit`.
        fhe : {"disable", "simulate", "execute"}, default=None
            None stands for ``"disable"`` where the client holds the weights, and ``"execute"`` otherwise.

        Returns
        -------
        score : float
            An accuracy from 0 to 1, or a score of at most 0.
        """
        if self.task == SEQUENCE_CLASSIFICATION:
            if y is None:
                raise ValueError("score needs y, the labels, for task='sequence-classification'.")
            predicted = self.predict(X, fhe=fhe)
            return float(np.mean(predicted == labels_of_texts(y, len(predicted))))
        return -self._mean_loss(X, y, fhe)

    def perplexity(self, X: Any, fhe: str | None = None) -> float:
        """Exponential of the mean loss of a token of texts.

        After `compile` and before `fit`, that of the base model with quantized weights.

        Parameters
        ----------
        X : sequence of texts or of token ids
            Longer ones than ``max_length`` tokens are cut into several.
        fhe : {"disable", "simulate", "execute"}, default=None
            None stands for ``"disable"`` where the client holds the weights, and ``"execute"`` otherwise.

        Returns
        -------
        perplexity : float
            The perplexity is at least 1; the lower, the better.
        """
        if self.task != CAUSAL_LM:
            raise ValueError("perplexity is defined for task='causal-lm' only; use score for classification.")
        return math.exp(self._mean_loss(X, None, fhe))

    def generate(
        self, prompts: Any, max_new_tokens: int | None = None, fhe: str | None = None, **options: Any
    ) -> list[Any]:
        """Continuations of prompts, greedily unless ``options`` say otherwise.

        Parameters
        ----------
        prompts : sequence of texts or of token ids
            Each is continued by itself.
        max_new_tokens : int, default=None
            Length of a continuation at most; None stands for 32, unless ``max_length`` bounds it with its prompt.
        fhe : {"disable", "simulate", "execute"}, default=None
            None stands for ``"disable"`` where the client holds the weights, and ``"execute"`` otherwise.
        **options
            Of transformers' ``generate``; ``num_return_sequences`` gives so many continuations of each prompt, one
            after the other.

        Returns
        -------
        continuations : list of str, or of lists of token ids
            The new text without the prompts; token ids if there is no tokenizer.
        """
        if self.task != CAUSAL_LM:
            raise ValueError("generate is defined for task='causal-lm' only.")
        model = self._use(fhe)
        if max_new_tokens is None and "max_length" not in options:
            max_new_tokens = 32
        length = {} if max_new_tokens is None else {"max_new_tokens": max_new_tokens}
        settings = {**length, "pad_token_id": self.pad_token_, **options}
        found = continuations(model, self._tokenize(prompts, continues=True), device=self.device, **settings)
        if self.tokenizer_ is None:
            return found
        return [self.tokenizer_.decode(ids, skip_special_tokens=True) for ids in found]

    def _use(self, fhe: str | None) -> Any:
        """The model to ask: the fine-tuned one, or before `fit` the base model, which can answer for itself."""
        if not hasattr(self, "program_"):
            raise NotCompiledError(
                "This HELoRAFineTuner is neither compiled nor fitted. Call compile() to ask the base model, or fit(X) "
                "to fine-tune it first."
            )
        refuse_changed(self)
        if self.task == SEQUENCE_CLASSIFICATION and not has_trained_head(self.program_.model):
            check_is_fitted(self, "model_")  # the base model has no head for the classes
        self.program_.use(fhe or ("disable" if self.program_.has_weights else "execute"))
        return getattr(self, "model_", self.program_.model)

    def _mean_loss(self, X: Any, y: Any, fhe: str | None) -> float:
        model = self._use(fhe)
        examples = with_token_labels(self._tokenize(X), y, self.program_.vocabulary_size)
        return mean_loss(model, pieces(examples, self.max_length), self.pad_token_, self.batch_size)

    def _tokenize(self, X: Any, *, continues: bool = False, append_eos: bool = False) -> list[Example]:
        """Examples of texts; ``continues`` for prompts, which have no end."""
        causal = self.task == CAUSAL_LM
        if causal and not continues:
            found = answer_examples(
                X,
                self.tokenizer_,
                self.program_.vocabulary_size,
                completion_only=self.completion_only_loss,
                assistant_only=self.assistant_only_loss,
            )
            if found is not None:
                return found
        tokenization = Tokenization(
            self.tokenizer_,
            self.program_.vocabulary_size,
            self.pad_token_,
            append_eos=append_eos and causal,
            truncate=None if causal else self.max_length,
        )
        return tokenization.prompts(X) if continues else tokenization.examples(X)
