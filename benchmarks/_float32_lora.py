"""Ordinary LoRA by PEFT with float32 weights, on the batches and from the adapters of `HELoRAFineTuner`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.datasets import fetch_smollm2
from fhe_estimators.lora._settings import compiled_settings
from fhe_estimators.lora.client.loading import load_model
from fhe_estimators.lora.costs import Costs
from fhe_estimators.lora.model.loading import load_tokenizer, pad_token


class Float32LoRA(HELoRAFineTuner):
    """What a client with the whole model would do: the linear layers stay where they are, nothing is quantized."""

    def compile(self, X: Any = None) -> Float32LoRA:
        model = load_model(self.model, self.task)
        self.tokenizer_ = load_tokenizer(self.model, self.tokenizer)
        self.pad_token_ = pad_token(model, self.tokenizer_)
        self.program_ = SimpleNamespace(
            model=model,
            start=None,
            costs=Costs(),
            has_weights=True,
            vocabulary_size=int(model.config.vocab_size),
            use=lambda *_, **__: None,
        )
        self._forget_fit()
        self._compiled_settings = compiled_settings(self)
        return self


def fine_tuner(mode: str, **settings: Any) -> tuple[HELoRAFineTuner, str]:
    """A fine-tuner of SmolLM2, and what to pass to `fit` as ``fhe``; mode ``"float32"`` is PEFT alone."""
    kind, fhe = (Float32LoRA, "disable") if mode == "float32" else (HELoRAFineTuner, mode)
    return kind(str(fetch_smollm2()), **settings), fhe
