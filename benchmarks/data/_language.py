"""Texts, from packages."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from ._packages import debian


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
