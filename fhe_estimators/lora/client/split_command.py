"""``fhe-estimators split``: a checkpoint in a client's and a workers' part (client side)."""

from __future__ import annotations

from pathlib import Path

from ...backends.lwe.client.verification import DEFAULT_VERIFY_BITS, check_verify_bits
from ...quantizers.linear import resolve_linear_quantizer
from ...utils import progress_bar
from ..model.loading import checkpoint_task, load_tokenizer, refuse_parts
from .checkpoint_part import ADAPTER_FOLDER, save_parts
from .loading import load_model
from .split_model import compile_model


def split(
    model: str,
    out: str,
    *,
    weight_quantizer: str = "int8",
    verify: bool = True,
    verify_bits: int = DEFAULT_VERIFY_BITS,
    verbose: int = 1,
) -> None:
    """Write the client's and the workers' part of a checkpoint to ``out/client`` and ``out/workers``."""
    verify_bits = check_verify_bits(verify_bits)
    refuse_parts(Path(model))
    loaded = load_model(model, checkpoint_task(model))
    compile_model(
        loaded,
        resolve_linear_quantizer(weight_quantizer),
        verify_bits=verify_bits if verify else None,
        progress=lambda items: progress_bar(items, description="split", verbose=verbose),
    )
    save_parts(loaded, Path(out))
    _keep_adapter(Path(model), Path(out) / "client" / ADAPTER_FOLDER)
    tokenizer = load_tokenizer(model, None)
    if tokenizer is not None:
        tokenizer.save_pretrained(Path(out) / "client")


def _keep_adapter(model: Path, folder: Path) -> None:
    """Copy the adapter beside a model, if there is one, to where only the client has it."""
    files = sorted(model.glob("adapter_*")) if (model / "adapter_config.json").exists() else []
    if files:
        folder.mkdir(mode=0o700, exist_ok=True)
    for file in files:
        (folder / file.name).write_bytes(file.read_bytes())
