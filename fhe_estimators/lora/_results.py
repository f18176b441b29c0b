"""What a fine-tuned model becomes: a PEFT adapter, or a plain model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_is_fitted

from .client.adapters import save_adapter
from .client.merging import merged
from .model.quiet import quiet_libraries


class ResultMixin:
    """Of an estimator with ``model_``, the fine-tuned model."""

    model: Any
    task: str
    verbose: int
    model_: Any
    pad_token_: int

    def save_adapter(self, path: Any) -> None:
        """Write a PEFT adapter folder, for ``peft.PeftModel.from_pretrained``.

        Parameters
        ----------
        path : path-like
            The folder; made if it does not exist.
        """
        check_is_fitted(self, "model_")
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
        with quiet_libraries(self.verbose):
            return merged(self.model_, self.model, self.task, getattr(self, "classes_", None), self.pad_token_)
