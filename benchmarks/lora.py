"""Encrypted LoRA fine-tuning: seconds of a step by phase, convergence, and the shape of Llama-3.2-1B.

``python -m benchmarks.lora step | convergence | llama-1b [--json FILE]``
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fhe_estimators import HELoRAFineTuner

from ._float32_lora import fine_tuner
from ._isolation import isolated
from ._report import aligned, describe_machine, describe_products, machine, markdown, size
from ._worker_apart import smollm2_apart

WORKER_APART = "execute, worker in another process"
WORKER_APART_TIGHT = "the same, memory_budget_bytes=2**28"
_NAMES = {"float32": "PEFT in float32"}
PHASES = ("client_crypto", "client_model", "worker", "transfer")


def _texts() -> list[str]:
    from .data._language import jargon_file

    entries = jargon_file()
    order = np.random.default_rng(0).permutation(len(entries))
    return [entries[i] for i in order]


def step(mode: str, verify: bool, steps: int) -> dict[str, Any]:
    """Medians of training steps of SmolLM2, 8 x 128 tokens; the first, which fetches hints, apart."""
    texts = [text for text in _texts() if len(text) > 700][:400]
    settings: dict[str, Any] = {"batch_size": 8, "max_length": 128, "max_steps": steps, "verify": verify}
    if mode in (WORKER_APART, WORKER_APART_TIGHT):
        settings["memory_budget_bytes"] = 1 << 28 if mode == WORKER_APART_TIGHT else None
        with smollm2_apart() as (client_part, worker):
            tuner = HELoRAFineTuner(client_part, workers=[worker], **settings).fit(texts)
    else:
        tuner, fhe = fine_tuner(mode, **settings)
        tuner.fit(texts, fhe=fhe)
    first, rest = tuner.history_[0], tuner.history_[1:]
    medians = {
        key: statistics.median(entry[key] for entry in rest) for key in first if key.endswith(("seconds", "bytes"))
    }
    return {**medians, "first_seconds": first["seconds"], "hint_bytes": first["hint_bytes"], "mode": mode}


def step_table(steps: int) -> tuple[list[str], list[list[str]], list[dict[str, Any]]]:
    runs = [(mode, True) for mode in ("float32", "disable", "simulate")]
    runs += [("execute", False), ("execute", True), (WORKER_APART, True), (WORKER_APART_TIGHT, True)]
    results = [{**isolated(step, mode, verify, steps), "verify": verify} for mode, verify in runs]
    rows = [
        [
            _NAMES.get(result["mode"], result["mode"]) + (", verified" if _verified(result) else ""),
            f"{result['seconds']:.2f}",
            *(f"{result[f'{phase}_seconds']:.2f}" for phase in PHASES),
            *(size(result[key]) for key in ("upload_bytes", "download_bytes")),
            f"{result['first_seconds']:.1f}",
            size(result["hint_bytes"]),
            size(result["peak_bytes"]),
        ]
        for result in results
    ]
    header = [
        *("8 x 128 tokens", "step s", "client crypto s", "client model s", "worker s", "transfer s"),
        *("upload", "download", "first step s", "hints", "peak memory"),
    ]
    return header, rows, results


def _verified(result: dict[str, Any]) -> bool:
    return result["mode"] == "execute" and result["verify"]


def convergence_run(mode: str, steps: int, batch_size: int, learning_rate: float) -> dict[str, Any]:
    """Losses of a run, and the held-out perplexity before and after."""
    texts, held_out = _texts()[:400], _texts()[-40:]
    tuner, fhe = fine_tuner(mode, batch_size=batch_size, max_steps=steps, epochs=100, learning_rate=learning_rate)
    tuner.fit(texts, fhe=fhe)
    after = tuner.perplexity(held_out)
    with tuner.model_.disable_adapter():
        before = tuner.perplexity(held_out)
    return {
        "mode": mode,
        "losses": [entry["loss"] for entry in tuner.history_],
        "perplexity_before": before,
        "perplexity_after": after,
    }


def convergence_table(steps: int, execute_steps: int) -> tuple[list[str], list[list[str]], list[dict[str, Any]]]:
    settings = (2, 5e-4)
    results = [isolated(convergence_run, mode, steps, *settings) for mode in ("float32", "disable", "simulate")]
    results.append(isolated(convergence_run, "execute", execute_steps, *settings))
    clear, rows = np.array(results[1]["losses"]), []
    for result in results:
        losses = np.array(result["losses"])
        smooth = [np.convolve(x[: len(losses)], np.ones(10) / 10, "valid") for x in (losses, clear)]
        rows.append(
            [
                result["mode"],
                str(len(losses)),
                f"{losses[:10].mean():.4f}",
                f"{losses[-10:].mean():.4f}",
                f"{np.abs(smooth[0] / smooth[1] - 1).max():.2%}",
                f"{np.abs(losses / clear[: len(losses)] - 1).max():.2%}",
                f"{result['perplexity_before']:.2f}",
                f"{result['perplexity_after']:.2f}",
            ]
        )
    header = [
        *("2 x 128 tokens", "steps", "loss, first 10", "loss, last 10", "curve (mean of 10) off by", "any step off by"),
        *("held-out perplexity before", "after"),
    ]
    return header, rows, results


def llama_1b(n_tokens: int, repeat: int) -> dict[str, Any]:
    """Forward and backward of a model of Llama-3.2-1B's shape with random weights, encrypted."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from fhe_estimators.backends.lwe import LWEBackend
    from fhe_estimators.lora.client.split_model import CompiledModel, compile_model
    from fhe_estimators.quantizers.linear import LINEAR_QUANTIZERS

    config = LlamaConfig(
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=128256,
        head_dim=64,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    compile_model(model, LINEAR_QUANTIZERS["int8"], verify_bits=40)
    backend = LWEBackend()
    compiled = CompiledModel(model, backend, backend.select_parameters(n_tokens), None, "cpu")
    tokens = torch.randint(0, 128256, (1, n_tokens), generator=torch.Generator().manual_seed(0))
    results: dict[str, Any] = {}
    for mode in ("disable", "execute"):
        compiled.use(mode)
        runs = []
        for _ in range(repeat + 1):
            inputs = model.get_input_embeddings()(tokens).requires_grad_(True)
            compiled.costs.take()
            start = time.perf_counter()
            model(inputs_embeds=inputs, labels=tokens, use_cache=False).loss.backward()
            runs.append({"seconds": time.perf_counter() - start, **compiled.costs.take()})
        results |= {f"{mode}_{key}": statistics.median(run[key] for run in runs[1:]) for key in runs[0]}
        results |= {f"{mode}_first_seconds": runs[0]["seconds"], f"{mode}_hint_bytes": runs[0]["hint_bytes"]}
    return results


def llama_table(n_tokens: int, repeat: int) -> tuple[list[str], list[list[str]], list[dict[str, Any]]]:
    result = isolated(llama_1b, n_tokens, repeat)
    rows = [
        [
            f"fhe_estimators, {mode}",
            f"{result[f'{mode}_seconds']:.1f}",
            f"{result[f'{mode}_client_crypto_seconds']:.1f}",
            f"{result[f'{mode}_worker_seconds']:.1f}",
            f"{result[f'{mode}_first_seconds']:.1f}",
            size(result[f"{mode}_hint_bytes"]),
            size(result[f"{mode}_upload_bytes"]),
            size(result[f"{mode}_download_bytes"]),
            size(result["peak_bytes"]),
        ]
        for mode in ("disable", "execute")
    ]
    rows.append(["Concrete ML, as its authors report", "5321", *["-"] * 7])
    header = [
        *(f"{n_tokens} tokens forward and backward", "seconds", "client crypto s", "worker s", "first time s"),
        *("hints", "upload", "download", "peak memory"),
    ]
    return header, rows, [result]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lora", description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("step", "convergence", "llama-1b"))
    parser.add_argument("--steps", type=int, help="training steps (default: 6, or 200 for convergence)")
    parser.add_argument("--execute-steps", type=int, default=20)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if options.what == "step":
        header, rows, results = step_table(options.steps or 6)
    elif options.what == "convergence":
        header, rows, results = convergence_table(options.steps or 200, options.execute_steps)
    else:
        header, rows, results = llama_table(64, options.steps or 3)
    print((markdown if options.markdown else aligned)(header, rows))
    print(f"\n{describe_machine()}, {describe_products()}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
