"""
Engines: auto, bfv, ckks, tfhe, clear
=====================================

One small model on five engines. Each returns exactly the integers of its
quantized model; latency, throughput and sizes differ by orders of magnitude.
"""

# %%
# The same trees, five times
# --------------------------
#
# - ``"bfv"`` computes one row or a few, leaves in its slots
#   (:doc:`/engines/bfv`).
# - ``"ckks"`` computes on thousands of rows at once (:doc:`/engines/ckks`).
# - ``"auto"``, the default, holds both, and each request takes the faster one.
# - ``"tfhe"`` looks up tables by programmable bootstrapping, a row at a time
#   (:doc:`/engines/tfhe`). It needs the extra ``tfhe``.
# - ``"clear"`` runs the protocol without encryption, as a reference for tests.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from fhe_estimators import FHEGradientBoostingClassifier
from fhe_estimators.ensembles import sum_leaves
from fhe_estimators.inspection import CostDisplay, measure_phases

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

models = {}
for name in ("auto", "bfv", "ckks", "tfhe", "clear"):
    clf = FHEGradientBoostingClassifier(
        n_estimators=10, max_depth=2, backend=name, random_state=0
    )
    models[name] = clf.fit(X_train, y_train).compile()
    facts = clf.program_.describe()
    print(f"{name:>5}: {facts['scheme']}")
    print(f"       {facts['security_bits']} bits of security")

# %%
# The same answers
# ----------------
#
# Leaf values are rounded to integers as finely as an engine's precision
# allows: each engine has a scale of its own. What comes back under encryption
# is, integer for integer, the sum of leaves of that engine's integer model in
# the clear. Divided by the scale it is the score (here XGBoost's margin, less
# its constant base score).

rows = X_test[:3]
phases = {}
for name, model in models.items():
    phases[name] = measure_phases(model, rows)
    sums = phases[name].sums
    codes = model.quantizer_.transform(rows)
    in_the_clear = sum_leaves(model.quantized_ensemble_, codes)
    scale = model.quantized_ensemble_.score_scale
    equal = np.array_equal(sums, in_the_clear)
    print(f"{name:>5}: equal to the clear: {equal}")
    print(f"       integers {sums.ravel()}, scale 2**{int(np.log2(scale))}")
    print(f"       scores   {sums.ravel() / scale}\n")

# %%
# Different costs
# ---------------
#
# The first request under new keys takes longer, since the server must read the
# keys; ``evaluate`` is a later one.


def megabytes(n_bytes):
    return f"{n_bytes / 1e6:,.3f}"


print(
    pd.DataFrame(
        {
            name: {
                "generate keys, s": f"{p.median('keygen'):.3f}",
                "first evaluate, s": f"{p.median('first evaluate'):.3f}",
                "evaluate, s": f"{p.median('evaluate'):.3f}",
                "evaluation keys, MB": megabytes(p.key_bytes),
                "request, MB": megabytes(p.request_bytes),
                "response, MB": megabytes(p.response_bytes),
            }
            for name, p in phases.items()
        }
    )
)

# %%
# Against the number of rows: the server takes about as long for one row as for
# thousands with ``ckks``, and the same time for every row with ``tfhe``. With
# ``bfv`` a few rows share what one takes; ``auto`` follows the lower curve.

many = (1, 10, 100, 1000, 4000)
counts = {"auto": many, "bfv": (1, 10, 100), "ckks": many, "tfhe": (1, 4)}
for name, row_counts in counts.items():
    fig, ax = plt.subplots(figsize=(5, 4), layout="constrained")
    display = CostDisplay.from_estimator(
        models[name], X_test, values=row_counts, ax=ax
    )
    last, n_rows = display.costs[-1], row_counts[-1]
    seconds = last["encrypt"] + last["evaluate"] + last["decrypt"]
    milliseconds = 1e3 * seconds / n_rows
    ax.set_title(f"{name}: {milliseconds:,.3f} ms a row of {n_rows:,}")
    ax.set(xlim=(0.7, 6000), ylim=(1e-5, 100))
plt.show()

# sphinx_gallery_thumbnail_number = 2

# %%
# Leave ``auto`` unless you have a reason not to. Reasons for ``tfhe``:
# requests and answers of a single row are small, and no approximate scheme is
# involved. It pays with larger keys, and nothing is shared among rows.
# :doc:`/user_guide/engines` compares them in full.
