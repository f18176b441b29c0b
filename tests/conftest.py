"""Tests of what optional libraries bring are left out where these are not installed."""

from importlib.util import find_spec

collect_ignore_glob = []
if find_spec("torch") is None:
    collect_ignore_glob += ["backends/lwe/*", "lora/*", "quantizers/test_linear.py"]
if any(find_spec(library) is None for library in ("transformers", "peft", "fastapi", "uvicorn", "httpx")):
    collect_ignore_glob += ["lora/*"]
