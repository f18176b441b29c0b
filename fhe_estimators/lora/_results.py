"""What a fine-tuned model becomes: a PEFT adapter, or a plain model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_is_fitted

from ._settings import refuse_changed
from .client.adapters import save_adapter
from .client.merging import merged
from .model.loading import CAUSAL_LM
from .model.quiet import quiet_libraries
from .training.labels import HeadClasses


class ResultMixin:
    """Of an estimator with ``model_``, the fine-tuned model."""

    model: Any
    task: str
    verbose: int
    model_: Any
    tokenizer: Any
    tokenizer_: Any
    pad_token_: int
    _head_classes: HeadClasses

    def save_adapter(self, path: Any) -> None:
        """Write a PEFT adapter folder, for ``peft.PeftModel.from_pretrained``.

        Parameters
        ----------
        path : path-like
            The folder; made if it does not exist.
        """
        check_is_fitted(self, "model_")
        refuse_changed(self)
        save_adapter(self.model_, Path(path))

    def merge(self) -> Any:
        """A plain transformers model: the original weights, in float32, with the adapter merged into them.

        Its answers differ from this object's by the quantization of the frozen weights.

        Returns
        -------
        model : PreTrainedModel
            It needs nothing of this library; ``save_pretrained`` keeps it.
        """
        check_is_fitted(self, "model_")
        refuse_changed(self)
        tokenizer = None if self.tokenizer is None else self.tokenizer_
        classes = None if self.task == CAUSAL_LM else self._head_classes.in_order_of_outputs
        with quiet_libraries(self.verbose):
            return merged(self.model_, self.model, tokenizer, self.task, classes, self.pad_token_)
