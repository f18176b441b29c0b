"""
Engines: clear, ckks, tfhe
==========================

One small model on three engines. Each returns exactly the integers of its quantized model; latency, throughput and
sizes differ by orders of magnitude.
"""

# %%
# The same trees, three times
# ---------------------------
#
# - ``"ckks"``, the default, computes on thousands of rows at once (:doc:`/engines/ckks`).
# - ``"tfhe"`` looks up tables by programmable bootstrapping, a row at a time (:doc:`/engines/tfhe`). It needs
#   the extra ``tfhe``.
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

models = {
    name: FHEGradientBoostingClassifier(n_estimators=10, max_depth=2, backend=name, random_state=0)
    .fit(X_train, y_train)
    .compile()
    for name in ("clear", "ckks", "tfhe")
}
for name, model in models.items():
    facts = model.program_.describe()
    print(f"{name:>5}: {facts['scheme']}, {facts['security_bits']} bits of security")

# %%
# The same answers
# ----------------
#
# Leaf values are rounded to integers as finely as an engine's precision allows: each engine has a scale of its own.
# What comes back under encryption is, integer for integer, the sum of leaves of that engine's integer model in the
# clear. Divided by the scale it is the score (here XGBoost's margin, less its constant base score).

n_rows = 3
phases = {}
for name, model in models.items():
    phases[name] = measure_phases(model, X_test[:n_rows])
    in_the_clear = sum_leaves(model.quantized_ensemble_, model.quantizer_.transform(X_test[:n_rows]))
    scale = model.quantized_ensemble_.score_scale
    print(f"{name:>5}: equal to the clear: {np.array_equal(phases[name].sums, in_the_clear)}")
    print(f"       integers {phases[name].sums.ravel()}, scale 2**{int(np.log2(scale))}")
    print(f"       scores   {phases[name].sums.ravel() / scale}\n")

# %%
# Different costs
# ---------------
#
# The first request under new keys takes longer, since the server must read the keys; ``evaluate`` is a later one.


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
# Against the number of rows: the server takes about as long for one row as for thousands with ``ckks``, and the same
# time for every row with ``tfhe``.

row_counts = {"clear": (1, 10, 100, 1000, 4000), "ckks": (1, 10, 100, 1000, 4000), "tfhe": (1, 4)}
fig, axes = plt.subplots(1, 3, figsize=(12, 4), sharex=True, sharey=True, layout="constrained")
for ax, (name, values) in zip(axes, row_counts.items(), strict=True):
    display = CostDisplay.from_estimator(models[name], X_test, values=values, ax=ax)
    rows, seconds = values[-1], sum(display.costs[-1][phase] for phase in ("encrypt", "evaluate", "decrypt"))
    ax.set_title(f"{name}: {1e3 * seconds / rows:,.3f} ms a row of {rows:,}", fontsize="medium")
    ax.label_outer()
plt.show()

# %%
# Take ``ckks`` unless you have a reason not to. Reasons for ``tfhe``: requests and answers of a single row are small,
# and no approximate scheme is involved. It pays with larger keys, and nothing is shared among rows.
# :doc:`/user_guide/engines` compares them in full.
