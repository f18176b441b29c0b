"""Loading a pretrained model and its tokenizer from a folder or a GGUF file."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
)
from transformers.utils import cached_file, logging

from ...exceptions import ProtocolError, UnsupportedModelError
from .architectures import CLASSIFIER, check_config
from .private_adapters import without_adapters

CAUSAL_LM, SEQUENCE_CLASSIFICATION = "causal-lm", "sequence-classification"
TASKS = (CAUSAL_LM, SEQUENCE_CLASSIFICATION)


def load_pretrained(path: str | Path) -> PreTrainedModel:
    """A model from a folder, a GGUF file or the hub, of the kind that it says it is, without its adapter."""
    return without_adapters(load_for_task(path, None)[0])


def load_for_task(path: str | Path, task: str | None) -> tuple[PreTrainedModel, list[str]]:
    """A model from a folder, a GGUF file or the hub, in float32, with the adapter that may lie beside it.

    Parameters
    ----------
    path : str or Path
    task : str or None
        None for what the checkpoint itself says that it is.

    Returns
    -------
    model : PreTrainedModel
    missing : list of str
        Parameters of a classifier that the checkpoint does not hold, such as those of its head or a pooler.
    """
    folder, options = _location(base_of_adapter(path))
    if options:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options)
        forget_quantization(model)
        return model, []
    refuse_parts(Path(folder))
    config = _config(folder)
    kind = _kind(config, task, folder)
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # of its report on weights that are missing, which is looked at below
    try:
        model, found = kind.from_pretrained(folder, config=config, dtype=torch.float32, output_loading_info=True)
    except ImportError as error:
        if not hasattr(config, "quantization_config"):
            raise
        raise UnsupportedModelError(f"{_quantized_sentence(folder, config)} {error}") from error
    finally:
        logging.set_verbosity(level)
    missing = [str(key) for key in found["missing_keys"]]
    if kind is AutoModelForCausalLM and missing:
        raise UnsupportedModelError(
            f"{folder} lacks weights of the language model ({', '.join(missing[:3])}): they would be random."
        )
    return dequantized(model), missing


def checkpoint_task(path: str | Path) -> str:
    """The task of the model in a folder: classification for classifiers, else language modelling."""
    folder, options = _location(base_of_adapter(path))
    if options or not (Path(folder) / "config.json").exists():
        return CAUSAL_LM
    return SEQUENCE_CLASSIFICATION if _is_classifier_config(_config(folder)) else CAUSAL_LM


def has_adapter(path: str | Path) -> bool:
    """Whether a folder, or a repository of the hub, holds an adapter, with or without a model beside it."""
    return Path(path).suffix != ".gguf" and checkpoint_file(path, "adapter_config.json") is not None


def base_of_adapter(path: str | Path) -> str:
    """The model that a folder with nothing but an adapter was trained on; other folders as they are."""
    if not has_adapter(path) or checkpoint_file(path, "config.json") is not None or _location(path)[1]:
        return str(path)
    adapter = checkpoint_file(path, "adapter_config.json")
    base = json.loads(Path(str(adapter)).read_text()).get("base_model_name_or_path")
    if not base:
        raise ValueError(
            f"model={str(path)!r} holds an adapter of a model that was in memory (its base_model_name_or_path is "
            "empty): load that model, and pass peft.PeftModel.from_pretrained(model, folder)."
        )
    return str(base)


def checkpoint_file(path: str | Path, name: str, *, offline: bool = False) -> str | None:
    """A file of a folder, or of a repository of the hub (if ``offline``, of its copy here); None if it is not there."""
    if Path(path).is_dir():
        return str(Path(path) / name) if (Path(path) / name).exists() else None
    if not str(path) or Path(path).exists() or Path(path).is_absolute():
        return None
    try:
        found = cached_file(str(path), name, local_files_only=offline, _raise_exceptions_for_missing_entries=False)
    except (OSError, ValueError):  # no such repository, or no connection: whoever loads the model says it
        return None
    return None if found is None else str(found)


def _config(folder: str) -> Any:
    try:
        config = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"model={folder!r} cannot be loaded: it is no folder of a transformers model, no .gguf file, and no model "
            f"of the hub that is reachable from here ({reason})"
        ) from error
    check_config(config, folder)
    return config


def _is_classifier_config(config: Any) -> bool:
    return any(name.endswith(CLASSIFIER) for name in config.architectures or [])


def _kind(config: Any, task: str | None, folder: str) -> Any:
    """The class of transformers that loads a checkpoint for a task."""
    if _is_classifier_config(config):
        if task == CAUSAL_LM:
            raise UnsupportedModelError(
                f"{folder} holds a classifier ({config.architectures[0]}): pass task='sequence-classification'."
            )
        return AutoModelForSequenceClassification
    if task is None and not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in config.architectures or []):
        return AutoModel
    kind = AutoModelForSequenceClassification if task == SEQUENCE_CLASSIFICATION else AutoModelForCausalLM
    if type(config) not in kind._model_mapping and not getattr(config, "auto_map", None):
        raise UnsupportedModelError(
            f"{folder} (model_type={config.model_type!r}) cannot be used for task={task!r}: transformers has no "
            f"{kind.__name__} of that type."
        )
    return kind


def refuse_parts(folder: Path) -> None:
    """The two parts of a split model are for different sides: a sentence to those who mix them up."""
    manifest = "fhe_parts.json"
    if (folder / "client" / manifest).exists():
        raise ProtocolError(
            f"{folder} holds both parts of a split model: clients load {folder / 'client'}, workers "
            f"{folder / 'workers'}."
        )
    if not (folder / manifest).exists():
        return
    if (folder / "fhe_layers.safetensors").exists():
        raise ProtocolError(
            f"{folder} is the client's part of a split model, which is secret and has no weights for workers: give "
            f"workers {folder.parent / 'workers'}."
        )
    raise ProtocolError(
        f"{folder} is the workers' part of a split model: it has no embeddings and no configuration. The client loads "
        f"{folder.parent / 'client'}."
    )


def dequantized(model: PreTrainedModel) -> PreTrainedModel:
    """A model in float32, of whatever it was quantized to; an `UnsupportedModelError` if that cannot be undone."""
    if getattr(model, "hf_quantizer", None) is None and not getattr(model, "is_quantized", False):
        return model
    name = type(model).__name__
    sentence = _quantized_sentence(name, model.config)
    try:
        model = model.dequantize()
    except Exception as error:  # every method of quantization has its own ways to say no
        raise UnsupportedModelError(f"{sentence} {error}") from error
    forget_quantization(model)
    left = [
        path
        for path, module in model.named_modules()
        if type(module).__name__.lower().startswith("linear") and type(module) is not nn.Linear
    ]
    if left or any(not parameter.is_floating_point() for parameter in model.parameters()):
        raise UnsupportedModelError(sentence)
    return model


def _quantized_sentence(name: str, config: Any) -> str:
    method = getattr(config, "quantization_config", None)
    method = method.get("quant_method") if isinstance(method, dict) else getattr(method, "quant_method", method)
    return (
        f"{name} is quantized ({getattr(method, 'value', method)}), and its weights cannot be had in floating point "
        "here: pass the model that it was made from. Workers quantize it to 8 bits themselves (weight_quantizer)."
    )


def forget_quantization(model: PreTrainedModel) -> None:
    """Let a model that was read from a GGUF file count as the float model that it now is."""
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None  # type: ignore[assignment]
    model.is_quantized = False  # type: ignore[assignment]


def load_tokenizer(model: Any, tokenizer: Any) -> Any:
    """The tokenizer given, or the one beside a model loaded from disk; None if there is none."""
    if isinstance(tokenizer, (str, Path)):
        folder, options = _location(tokenizer)
        return AutoTokenizer.from_pretrained(folder, **options)
    if tokenizer is not None or not isinstance(model, (str, Path)):
        return tokenizer
    folder, options = _location(model)
    if not options and has_adapter(folder) and not _has_tokenizer(folder):
        folder, options = _location(base_of_adapter(folder))
    if options or _has_tokenizer(folder):
        return AutoTokenizer.from_pretrained(folder, **options)
    return None if Path(folder).is_dir() else _tokenizer_of_hub(folder)


def _has_tokenizer(folder: str) -> bool:
    return any((Path(folder) / name).exists() for name in _TOKENIZER_FILES)


def _tokenizer_of_hub(name: str) -> Any:
    """The tokenizer of a model on the hub; a warning, and None, if there is none."""
    try:
        return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        warnings.warn(f"{name} comes without a tokenizer: {reason}", RuntimeWarning, stacklevel=3)
        return None


_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")


def _location(path: str | Path) -> tuple[str, dict[str, str]]:
    path = Path(path)
    if path.suffix == ".gguf":
        return str(path.parent), {"gguf_file": path.name}
    if path.is_dir() and not (path / "config.json").exists():
        files = sorted(path.glob("*.gguf"))
        if len(files) == 1:
            return str(path), {"gguf_file": files[0].name}
    return str(path), {}


def pad_token(model: PreTrainedModel, tokenizer: Any) -> int:
    """Token for padding, which is masked: its own, else the end of text, else 0."""
    candidates = [getattr(tokenizer, "pad_token_id", None), getattr(tokenizer, "eos_token_id", None)]
    candidates += [model.config.pad_token_id if hasattr(model.config, "pad_token_id") else None, 0]
    return next(int(token) for token in candidates if isinstance(token, int))
