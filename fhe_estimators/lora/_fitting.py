"""Training: `HELoRAFineTuner.fit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import peft

from ..utils import check_fhe_mode
from ._checkpoint_work import with_checkpoint
from ._settings import changed_settings, check_settings
from ._training_plan import training_plan
from .client.adapters import add_adapters
from .client.heads import has_trained_head, set_head
from .client.memory import MemoryBudget
from .client.split_model import CompiledModel
from .model.loading import SEQUENCE_CLASSIFICATION
from .model.private_adapters import take_off
from .model.quiet import quiet_libraries
from .randomness import Randomness
from .training.callbacks import check_callbacks
from .training.loop import Training

if TYPE_CHECKING:
    from .estimator import HELoRAFineTuner


class FittingMixin:
    """Of an estimator with `compile`."""

    program_: CompiledModel
    classes_: np.ndarray
    tokenizer_: Any
    pad_token_: int
    task: str
    device: str
    callbacks: Any
    checkpoint_steps: int
    verbose: int
    model_: peft.PeftModel
    history_: list[dict[str, Any]]

    def fit(
        self: Any,
        X: Any,
        y: Any = None,
        fhe: str = "execute",
        *,
        sample_weight: Any = None,
        eval_set: Any = None,
    ) -> HELoRAFineTuner:
        """Train an adapter: the one that the model comes with, or else a fresh one.

        Parameters
        ----------
        X : sequence of texts, of pairs of texts, of conversations, or of sequences of token ids
            Conversations are lists of messages, which the tokenizer's chat template renders; pairs are tuples. A table
            (DataFrame, Dataset, dict, a tokenizer's output) is read from its column ``"input_ids"``, with its
            ``"attention_mask"`` and ``"labels"``, ``"messages"`` or ``"text"``. Texts longer than ``max_length`` tokens
            are cut into several for language models, and truncated for classification.
        y : sequence of labels, default=None
            The label of each text, for classification. For language models nothing, or for each text the token ids to
            predict, of the same length, with -100 where nothing is to be learned.
        fhe : {"execute", "simulate", "disable"}, default="execute"
            Workers on ciphertexts; their noise without encryption; quantized weights in the clear.
        sample_weight : array-like of shape (n_texts,), default=None
            How much each text counts in the loss, which is the weighted mean over its predictions.
        eval_set : texts, or tuple of (texts, labels), default=None
            Not trained on; its loss, without weights, goes to `history_` and decides on ``early_stopping``.

        Returns
        -------
        self : HELoRAFineTuner
            This object, with `model_` and `history_` set. After a `KeyboardInterrupt`, too: it passes through, and what
            was trained until then is kept.
        """
        check_settings(self)
        check_fhe_mode(fhe)
        if not hasattr(self, "program_") or changed_settings(self):
            self.compile(X)
        plan = training_plan(self, X, y, sample_weight, eval_set)
        callbacks = check_callbacks(self.callbacks)
        self._forget_fit()
        plan, checkpoint_dir = with_checkpoint(self, plan, fhe)
        self.program_.use(fhe, seed=plan.seed)
        randomness, training = Randomness(self.device, plan.seed), None
        try:
            with randomness.drawing():
                model = self._adapted()
            training = Training(
                model,
                plan,
                self.program_.costs,
                randomness,
                checkpoint_dir=checkpoint_dir,
                checkpoint_steps=self.checkpoint_steps,
                callbacks=callbacks,
                tokenizer=self.tokenizer_,
                verbose=self.verbose,
            )
            with MemoryBudget.of(self, self.program_.model).keeping_products(), randomness.drawing():
                training.run()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and training is not None and training.history:
                self.model_, self.history_ = model.eval(), training.history
            else:
                begin_anew(self.program_, self)
            raise
        self.model_, self.history_ = model.eval(), training.history
        return self

    def _adapted(self) -> peft.PeftModel:
        """The model as training begins with it: with a head for the classes, and an adapter."""
        model = self.program_.model
        take_off(model)
        with quiet_libraries(self.verbose):
            if self.task == SEQUENCE_CLASSIFICATION and not has_trained_head(model):
                set_head(model, len(self.classes_), self.pad_token_)
            return add_adapters(model, self, self.program_.start)

    def _forget_fit(self) -> None:
        begin_anew(self.program_, self)
        if hasattr(self, "model_"):
            del self.model_, self.history_


def begin_anew(program: CompiledModel, settings: Any) -> None:
    """Let a compiled model answer as before any training: without an adapter, or with the one that it came with."""
    take_off(program.model)
    if program.start is not None:
        with quiet_libraries(settings.verbose):
            add_adapters(program.model, settings, program.start)
    program.model.eval()
