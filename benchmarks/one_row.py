"""One row at a time: the automatic choice and each engine alone, by what clients learn.

``python -m benchmarks.one_row``: seconds from encryption to decryption, the median of five after a first run.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from sklearn.datasets import load_breast_cancer

from fhe_estimators import FHEGradientBoostingClassifier, FHERandomForest

from ._report import describe_machine, markdown

MODELS = {
    "XGBoost 50 x 3": FHEGradientBoostingClassifier(n_estimators=50, max_depth=3, random_state=0),
    "forest 50 x 4": FHERandomForest(n_estimators=50, max_depth=4, random_state=0),
    "default forest": FHERandomForest(n_estimators=100, max_depth=None, random_state=0),
}
#: Engine, quantizer, and what the client learns of the thresholds.
SETTINGS = (
    ("auto", "threshold", "known"),
    ("auto", "uniform", "hidden"),
    ("bfv", "threshold", "known"),
    ("bfv", "uniform", "hidden"),
    ("ckks", "threshold", "known"),
)


def measure(model, backend, quantizer, repeat=5):
    X, y = load_breast_cancer(return_X_y=True)
    clf = model.set_params(backend=backend, quantizer=quantizer).fit(X[::2], y[::2]).compile()
    accuracy = clf.score(X[1::2], y[1::2])
    client, evaluator = clf.backend_.client(clf.program_.client_spec), clf.backend_.evaluator(clf.program_)
    engine = clf.program_.engine_for(1)
    keys = client.generate_keys(engine) if engine != backend else client.generate_keys()
    codes, seconds = clf.quantize(X[1:2]), []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        request = client.encrypt(codes)
        response = evaluator.run(request, keys)
        sums = client.decrypt(response)
        seconds.append(time.perf_counter() - start)
        np.testing.assert_array_equal(sums, clf.sum_leaves(codes))
    sizes = (len(request) / 1e3, len(response) / 1e3, len(keys) / 1e6)
    return statistics.median(seconds[1:]), seconds[0], *sizes, accuracy


def main():
    header = ["model", "engine", "thresholds", "a row", "the first", "upload", "download", "keys", "accuracy"]
    rows = []
    for name, model in MODELS.items():
        for backend, quantizer, known in SETTINGS:
            if backend == "ckks" and name == "default forest":
                continue  # most of a minute and more than a gigabyte
            row, first, up, down, keys, accuracy = measure(model, backend, quantizer)
            sizes = [f"{up:.0f} kB", f"{down:.0f} kB", f"{keys:.1f} MB"]
            rows.append([name, f"`{backend}`", known, f"{row:.2f} s", f"{first:.2f} s", *sizes, f"{accuracy:.3f}"])
    print(markdown(header, rows))
    print(f"\n{describe_machine()}")


if __name__ == "__main__":
    main()
