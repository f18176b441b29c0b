"""
Grid search over accuracy and encrypted cost
============================================

Depth, number of trees and bits a feature decide how accurate a model is, and what it costs under encryption. A
``GridSearchCV`` finds the first in the clear; compiling the candidates shows the second; then the cheapest of
the good ones is chosen.
"""

# %%
# Search in the clear
# -------------------
#
# The breast cancer data of scikit-learn, of which we take the ten mean measurements. With
# :class:`~fhe_estimators.quantizers.UniformQuantizer` the model is trained on bins, so the number of bits matters to
# its accuracy. The quantizer is an estimator: the search reaches its parameter as ``quantizer__n_bits``.
# Cross-validation uses ``fhe="disable"``: the integer model, exactly as the server would evaluate it.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split

from fhe_estimators import FHEGradientBoostingClassifier
from fhe_estimators.inspection import measure_phases
from fhe_estimators.quantizers import UniformQuantizer

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X[:, :10], y, random_state=0)

folds = StratifiedKFold(5, shuffle=True, random_state=0)
search = GridSearchCV(
    FHEGradientBoostingClassifier(quantizer=UniformQuantizer(), random_state=0, n_jobs=1),
    {"max_depth": [1, 2, 3], "n_estimators": [10, 40], "quantizer__n_bits": [2, 4, 6]},
    cv=folds,
    refit=False,
)
search.fit(X_train, y_train)
scores, spread = search.cv_results_["mean_test_score"], search.cv_results_["std_test_score"]
print(f"{len(scores)} candidates, accuracy from {scores.min():.3f} to {scores.max():.3f}")

# %%
# What the candidates cost
# ------------------------
#
# Compilation makes no keys and takes a fraction of a second, so every candidate can be compiled:
# ``program_.describe()`` has its levels and the bytes of a full batch of rows.
# :func:`~fhe_estimators.inspection.measure_phases` encrypts the test rows and takes the time of every phase.


def encrypted_cost(parameters):
    clf = clone(search.estimator).set_params(**parameters).fit(X_train, y_train).compile()
    facts, phases = clf.program_.describe(), measure_phases(clf, X_test)
    return {"levels": facts["depth"], "evaluate_s": phases.median("evaluate"), "batch_MB": facts["upload_bytes"] / 1e6}


table = pd.DataFrame(search.cv_results_["params"]).rename(
    columns={"max_depth": "depth", "n_estimators": "trees", "quantizer__n_bits": "bits"}
)
table["accuracy"], table["std_error"] = scores, spread / np.sqrt(folds.get_n_splits())
table = table.join(pd.DataFrame([encrypted_cost(parameters) for parameters in search.cv_results_["params"]]))
print(table.round(3).to_string(index=False))

# %%
# Choose
# ------
#
# Accuracies are estimates. By the one-standard-error rule every candidate whose accuracy is within one standard error
# of the best is as good; of these we take the one that uploads least. (Seconds would do as well, where the network is
# faster than the server; but they vary from run to run.)

best = table.loc[table["accuracy"].idxmax()]
good = table[table["accuracy"] >= best["accuracy"] - best["std_error"]]
chosen = good["batch_MB"].idxmin()
print("most accurate:", search.cv_results_["params"][best.name])
print("chosen:       ", search.cv_results_["params"][chosen])

markers = {1: "o", 2: "^", 3: "s"}
fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
for ax, column, label in zip(
    axes, ("evaluate_s", "batch_MB"), ("seconds of the server, 143 rows", "MB of upload, 4,096 rows"), strict=True
):
    for depth, marker in markers.items():
        part = table[table["depth"] == depth]
        points = ax.scatter(
            part[column], part["accuracy"], s=1.5 * part["trees"] + 15, c=part["bits"], marker=marker, vmin=2, vmax=6
        )
    ax.plot(*table.loc[chosen, [column, "accuracy"]], "o", markersize=18, fillstyle="none", color="C3")
    ax.axhline(best["accuracy"] - best["std_error"], color="0.5", linestyle="--", linewidth=1)
    ax.set_xlabel(label)
    ax.grid(alpha=0.3)
handles = [
    *(plt.Line2D([], [], linestyle="", marker=m, color="0.4", label=f"depth {d}") for d, m in markers.items()),
    plt.Line2D([], [], linestyle="--", color="0.5", label="one standard error"),
    plt.Line2D([], [], linestyle="", marker="o", fillstyle="none", markersize=12, color="C3", label="chosen"),
]
axes[0].set_ylabel("cross-validated accuracy")
axes[0].legend(handles=handles, loc="lower right", fontsize="small")
fig.colorbar(points, ax=axes, ticks=[2, 4, 6], label="bits a feature (large marks: 40 trees)")
plt.show()

# %%
# Depth costs levels, one for each doubling. Bits cost ciphertexts: a client that does not know which bins the model
# uses sends the digits of its bin numbers (see :doc:`/user_guide/quantizers`), and more than three bits take two
# digits, which cost a level to put together. More trees cost the server's time, and leave the upload as it is.
#
# Encrypted predictions of the choice
# -----------------------------------

clf = clone(search.estimator).set_params(**search.cv_results_["params"][chosen]).fit(X_train, y_train).compile()
labels = clf.predict(X_test, fhe="execute")
print(f"accuracy on the {len(labels)} encrypted test rows: {(labels == y_test).mean():.3f}")
