"""Digests that tie keys, requests and archives to one compiled program."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

import numpy as np

from ..ensembles import TreeEnsemble


def program_digest(ensemble: TreeEnsemble, metadata: dict[str, Any]) -> str:
    """Hexadecimal SHA-256 of a quantized ensemble and its settings."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, value in asdict(ensemble).items():
        digest.update(name.encode())
        digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return digest.hexdigest()
