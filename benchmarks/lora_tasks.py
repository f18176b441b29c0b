"""What encrypted fine-tuning reaches: source code and spam mail, and the schemes of quantization.

``python -m benchmarks.lora_tasks code | spam | quantizers [--steps 100] [--execute-steps 20] [--json FILE]``
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._float32_lora import fine_tuner
from ._isolation import isolated
from ._report import aligned, describe_machine, describe_products, machine, markdown

Table = tuple[list[str], list[list[str]], list[dict[str, Any]]]


def code(mode: str, steps: int, weight_quantizer: str = "int8", held_out_files: int = 12) -> dict[str, Any]:
    """Held-out perplexity of source code, before and after fine-tuning on other files."""
    from .data._language import python_sources

    texts = _shuffled(python_sources())
    train, test = texts[held_out_files:], texts[:held_out_files]
    tuner, fhe = fine_tuner(
        mode, batch_size=4, learning_rate=5e-4, epochs=100, max_steps=steps, weight_quantizer=weight_quantizer
    )
    tuner.compile(train[:32])  # static quantization is calibrated on these
    tuner.fit(train, fhe=fhe)
    # The clear product of the same weights: what the noise of training did, not that of evaluation.
    after = tuner.perplexity(test, fhe="disable")
    with tuner.model_.disable_adapter():
        before = tuner.perplexity(test, fhe="disable")
    return {"mode": mode, "weights": weight_quantizer, "before": before, "after": after, **_summary(tuner)}


def spam(mode: str, steps: int, held_out_mails: int = 200) -> dict[str, Any]:
    """Accuracy on held-out mails of a classifier fine-tuned on others; before, that of the larger class."""
    from fhe_estimators.datasets import fetch_spam_assassin

    texts, labels = fetch_spam_assassin(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(texts))
    texts, labels = [texts[i][:2000] for i in order], labels[order]
    tuner, fhe = fine_tuner(
        mode, task="sequence-classification", batch_size=8, max_length=64, learning_rate=5e-4, max_steps=steps
    )
    tuner.fit(texts[held_out_mails:], labels[held_out_mails:], fhe=fhe)
    after = tuner.score(texts[:held_out_mails], labels[:held_out_mails], fhe="disable")
    before = max(np.mean(labels[:held_out_mails]), 1 - np.mean(labels[:held_out_mails]))
    return {"mode": mode, "before": float(before), "after": float(after), **_summary(tuner)}


def _shuffled(texts: list[str]) -> list[str]:
    return [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]


def _summary(tuner: Any) -> dict[str, Any]:
    return {"losses": [entry["loss"] for entry in tuner.history_]}


def _row(result: dict[str, Any], name: str, number: str) -> list[str]:
    losses = result["losses"]
    return [
        name,
        str(len(losses)),
        f"{statistics.mean(losses[:5]):.3f}",
        f"{statistics.mean(losses[-5:]):.3f}",
        format(result["before"], number),
        format(result["after"], number),
    ]


def task_table(task: Any, measure: str, number: str, steps: int, execute_steps: int) -> Table:
    runs = (("float32", steps), ("simulate", steps), ("float32", execute_steps), ("execute", execute_steps))
    results = [isolated(task, mode, n_steps) for mode, n_steps in runs]
    return _header("", measure), [_row(result, result["mode"], number) for result in results], results


def quantizer_table(steps: int) -> Table:
    """The paper's comparison: schemes that quantize weights and activations, and ours, which rounds weights only."""
    from fhe_estimators.quantizers.linear import LINEAR_QUANTIZERS

    results = [isolated(code, "float32", steps)]
    results += [isolated(code, "disable", steps, name) for name in LINEAR_QUANTIZERS]
    names = ["none: float32", *LINEAR_QUANTIZERS]
    rows = [_row(result, name, ".2f") for name, result in zip(names, results, strict=True)]
    return _header("weight_quantizer", "held-out perplexity"), rows, results


def _header(first: str, measure: str) -> list[str]:
    return [first, "steps", "loss, first 5", "loss, last 5", f"{measure} before", "after"]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lora_tasks", description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("code", "spam", "quantizers"))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--execute-steps", type=int, default=20)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if options.what == "code":
        header, rows, results = task_table(code, "held-out perplexity", ".2f", options.steps, options.execute_steps)
    elif options.what == "spam":
        header, rows, results = task_table(spam, "held-out accuracy", ".3f", options.steps, options.execute_steps)
    else:
        header, rows, results = quantizer_table(options.steps)
    print((markdown if options.markdown else aligned)(header, rows))
    print(f"\n{describe_machine()}, {describe_products()}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
