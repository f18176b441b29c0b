"""Encrypted LoRA fine-tuning: seconds of a step by phase, convergence, and the shape of Llama-3.2-1B.

``python -m benchmarks.lora step | convergence | llama-1b [--json FILE]``
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._isolation import isolated
from ._report import aligned, describe_machine, machine, markdown, size

PHASES = ("client_crypto", "client_model", "worker", "transfer")


def _texts() -> list[str]:
    from .data._language import jargon_file

    entries = jargon_file()
    order = np.random.default_rng(0).permutation(len(entries))
    return [entries[i] for i in order]


def step(fhe: str, verify: bool, steps: int) -> dict[str, Any]:
    """Medians of training steps of SmolLM2, 8 x 128 tokens; the first, which fetches hints, apart."""
    from fhe_estimators import HELoRAFineTuner

    from .data._language import smollm2_folder

    tuner = HELoRAFineTuner(str(smollm2_folder()), batch_size=8, max_length=128, max_steps=steps, verify=verify)
    tuner.fit([text for text in _texts() if len(text) > 700][:400], fhe=fhe)
    first, rest = tuner.history_[0], tuner.history_[1:]
    medians = {
        key: statistics.median(entry[key] for entry in rest) for key in first if key.endswith(("seconds", "bytes"))
    }
    return {**medians, "first_seconds": first["seconds"], "hint_bytes": first["hint_bytes"], "mode": fhe}


def float32_step(steps: int) -> dict[str, Any]:
    """The same step by PEFT alone, with float32 weights: what a client with the model would do."""
    from .data._language import smollm2_folder

    _, seconds = _float32_lora(str(smollm2_folder()), steps, 8, 2e-4, [])
    return {
        "mode": "PEFT in float32",
        "seconds": statistics.median(seconds[1:]),
        "client_model_seconds": statistics.median(seconds[1:]),
    }


def _float32_lora(folder: str, steps: int, batch_size: int, learning_rate: float, held_out: list[str]) -> Any:
    """Train PEFT's LoRA on the same batches in the same order, from the same adapters."""
    import peft
    import torch
    from sklearn.utils import check_random_state
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from fhe_estimators.lora._costs import Costs
    from fhe_estimators.lora._inference import mean_loss
    from fhe_estimators.lora._text import pieces, tokenize
    from fhe_estimators.lora._training import TrainingPlan, train

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    seed = int(check_random_state(0).randint(2**31 - 1))
    torch.manual_seed(seed)
    config = peft.LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type=peft.TaskType.CAUSAL_LM)
    model = peft.get_peft_model(model, config)
    texts = _texts()[:400] if held_out else [text for text in _texts() if len(text) > 700][:400]
    sequences = [s for s in pieces(tokenize(texts, tokenizer, 49152), 128) if len(s) > 1]
    plan = TrainingPlan(sequences, None, tokenizer.pad_token_id or 0, 100, batch_size, 1, steps, learning_rate, seed)
    history = train(model, plan, Costs())
    losses = [entry["loss"] for entry in history]
    if held_out:
        losses.append(mean_loss(model.eval(), pieces(tokenize(held_out, tokenizer, 49152), 128), 0, 8))
    return losses, [entry["seconds"] for entry in history]


def step_table(steps: int) -> tuple[list[str], list[list[str]], list[dict[str, Any]]]:
    results = [isolated(float32_step, steps)]
    for fhe, verify in (("disable", True), ("simulate", True), ("execute", False), ("execute", True)):
        results.append({**isolated(step, fhe, verify, steps), "verify": verify})
    rows = [
        [
            result["mode"] + (", verified" if result["mode"] == "execute" and result["verify"] else ""),
            f"{result['seconds']:.2f}",
            *(f"{result.get(f'{phase}_seconds', 0):.2f}" for phase in PHASES),
            *(size(result.get(key, 0)) for key in ("upload_bytes", "download_bytes")),
            f"{result.get('first_seconds', 0):.1f}",
            size(result.get("hint_bytes", 0)),
            size(result["peak_bytes"]),
        ]
        for result in results
    ]
    header = [
        *("8 x 128 tokens", "step s", "client crypto s", "client model s", "worker s", "transfer s"),
        *("upload", "download", "first step s", "hints", "peak memory"),
    ]
    return header, rows, results


def convergence_run(mode: str, steps: int, batch_size: int, learning_rate: float) -> dict[str, Any]:
    """Losses of a run, and the held-out perplexity before and after."""
    import torch

    from fhe_estimators import HELoRAFineTuner

    from .data._language import smollm2_folder

    texts, held_out = _texts()[:400], _texts()[-40:]
    folder = str(smollm2_folder())
    if mode == "float32":
        losses, _ = _float32_lora(folder, steps, batch_size, learning_rate, held_out)
        return {"mode": mode, "losses": losses[:-1], "perplexity_after": math.exp(losses[-1])}
    tuner = HELoRAFineTuner(
        folder, batch_size=batch_size, max_length=128, max_steps=steps, epochs=100, learning_rate=learning_rate
    )
    tuner.fit(texts, fhe=mode)
    after = tuner.perplexity(held_out)
    with tuner.model_.disable_adapter(), torch.no_grad():
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
        before = f"{result['perplexity_before']:.2f}" if "perplexity_before" in result else "-"
        rows.append(
            [
                result["mode"],
                str(len(losses)),
                f"{losses[:10].mean():.4f}",
                f"{losses[-10:].mean():.4f}",
                f"{np.abs(smooth[0] / smooth[1] - 1).max():.2%}",
                f"{np.abs(losses / clear[: len(losses)] - 1).max():.2%}",
                before,
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
    from fhe_estimators.lora._compiled import CompiledModel, compile_model
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
    compile_model(model, LINEAR_QUANTIZERS["int8"], n_checks=8)
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
    print(f"\n{describe_machine()}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
