"""``fhe-estimators worker``: linear layers over HTTP (server side)."""

from __future__ import annotations

import sys
from pathlib import Path

from ...utils.http import TOKEN_VARIABLE
from ...utils.http.server.running import run_application
from ...utils.http.server.tokens import TokenList
from .app import DEFAULT_MAX_BODY_BYTES, create_app
from .checkpoint_part import block_selector, is_worker_part, load_worker_part
from .worker import LocalWorker


def load_worker(
    model: str, *, layers: str | None = None, weight_quantizer: str = "int8", device: str = "cpu"
) -> LocalWorker:
    """A worker for some blocks of a workers' part, or of a whole checkpoint."""
    wanted = block_selector(layers)
    if is_worker_part(Path(model)):
        weights = load_worker_part(Path(model), wanted)
    else:
        from .whole_checkpoint import quantized_weights

        weights = {name: matrix for name, matrix in quantized_weights(model, weight_quantizer).items() if wanted(name)}
    if not weights:
        raise ValueError(f"layers={layers!r} match no layer of {model}.")
    return LocalWorker(weights, device=device)


def serve(
    model: str,
    *,
    layers: str | None = None,
    weight_quantizer: str = "int8",
    device: str = "cpu",
    host: str = "127.0.0.1",
    port: int = 8400,
    token_file: str | None = None,
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    ssl_certfile: str | None = None,
    ssl_keyfile: str | None = None,
) -> None:
    """Run a worker over HTTP until interrupted."""
    tokens = TokenList.configured(token_file)
    worker = load_worker(model, layers=layers, weight_quantizer=weight_quantizer, device=device)
    if tokens.is_open:
        print(
            f"There is no --token-file, and {TOKEN_VARIABLE} is not set: this worker answers everybody who reaches it.",
            file=sys.stderr,
        )
    app = create_app(worker, tokens=tokens, max_body_bytes=max_body_bytes)
    print(f"Worker with {len(worker.digests())} layers on port {port}.", flush=True)
    run_application(app, host=host, port=port, ssl_certfile=ssl_certfile, ssl_keyfile=ssl_keyfile)
