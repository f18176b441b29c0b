"""
Quantizers: threshold, uniform, quantile
========================================

Encrypted trees compare integers, so a quantizer turns every feature into a
small integer. The three quantizers differ in accuracy, in what a client learns
of the model, and in cost.
"""

# %%
# Three quantizers, one model
# ---------------------------
#
# - :class:`~fhe_estimators.quantizers.ThresholdQuantizer`, the default, cuts
#   each feature at the thresholds of the trained trees. Every comparison is
#   decided as in the float model.
# - :class:`~fhe_estimators.quantizers.UniformQuantizer` cuts its range into
#   ``2 ** n_bits`` bins of equal width,
# - :class:`~fhe_estimators.quantizers.QuantileQuantizer` into bins of about
#   equally many training rows.
#
# With the last two, the model is trained on the bins.

import textwrap

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from fhe_estimators import FHEGradientBoostingClassifier
from fhe_estimators.inspection import (
    DecisionBoundaryComparisonDisplay,
    QuantizationCurveDisplay,
    compare_with_cleartext,
    measure_phases,
)
from fhe_estimators.quantizers import QuantileQuantizer, UniformQuantizer

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
quantizers = {
    "threshold": "threshold",
    "uniform, 3 bits": UniformQuantizer(n_bits=3),
    "quantile, 3 bits": QuantileQuantizer(n_bits=3),
}

# %%
# What each side learns, and what it costs
# ----------------------------------------
#
# The server learns the number of rows, whatever the quantizer. Under the
# threshold quantizer the client knows the thresholds, compares, and encrypts
# the results. The other two hide which bins the model uses: for one row the
# client encrypts the results of all comparisons there could be, in a single
# ciphertext; for many it encrypts digits of its bin numbers, and the server
# makes the comparisons of them.

rows, learned = [], {}
for name, quantizer in quantizers.items():
    clf = FHEGradientBoostingClassifier(
        n_estimators=30, quantizer=quantizer, random_state=0, n_jobs=1
    )
    clf.fit(X_train, y_train).compile()
    report = compare_with_cleartext(clf, X_test, y_test, scoring="accuracy")
    one = measure_phases(clf, X_test[:1], repeat=3)
    learned[name] = report.facts["client_learns"]
    (accuracy,) = (
        row["value"] for row in report.metrics if row["model"] == "encrypted"
    )
    rows.append(
        {
            "quantizer": name,
            "thresholds": "known" if name == "threshold" else "hidden",
            "accuracy": accuracy,
            "exact rows": f"{report.exact_rows} of {report.n_rows}",
            "1 row, s": one.total(),
            "upload, MB": one.request_bytes / 1e6,
            "143 rows, s": sum(
                report.seconds[p] for p in ("encrypt", "evaluate", "decrypt")
            ),
            "their upload, MB": report.sizes["request"] / 1e6,
        }
    )
table = pd.DataFrame(rows).set_index("quantizer")
print(table.round(3).to_string())

# %%
# The picture of it: hiding thresholds costs little for one row, and more the
# more rows are sent at once.

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
table[["1 row, s", "143 rows, s"]].plot.bar(ax=ax, rot=0, logy=True)
labels = [f"{name}\n({how})" for name, how in table["thresholds"].items()]
ax.set_xticks(range(3), labels)
ax.set(xlabel="quantizer (thresholds of the model)", ylabel="seconds")
for bars in ax.containers:
    ax.bar_label(bars, fmt="%.2g", fontsize="small")
ax.margins(y=0.15)
plt.show()

# %%
# In the words of ``program_.describe()``, what a client learns of the model:

for name, text in learned.items():
    print(textwrap.fill(f"{name}: {text}", 79), end="\n\n")

# %%
# How many bits suffice
# ---------------------
#
# :class:`~fhe_estimators.inspection.QuantizationCurveDisplay` cross-validates
# the model with more and more bits, in the clear. That says more than the 143
# test rows above, of which each is 0.7 per cent. The dashed line is the float
# model. Quantiles need fewer bits than equal widths where features are skewed,
# as most are here.

model = FHEGradientBoostingClassifier(
    n_estimators=30, random_state=0, n_jobs=1
)
for kind in ("uniform", "quantile"):
    fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    QuantizationCurveDisplay.from_estimator(
        model, X, y, quantizer=kind, n_bits=range(1, 8), ax=ax
    )
    ax.set_ylim(0.92, 1)
    ax.legend(loc="lower right")
plt.show()

# %%
# The bins, seen in two features
# ------------------------------
#
# Two features, one of them skewed. Every point of the grid is predicted under
# encryption: regions are the encrypted labels, the dashed line is the boundary
# of the float model (with ``uniform`` and ``quantile``, of the one trained on
# the bins). At three bits, equal widths leave most tumours in a single bin of
# the area error, whose range reaches far beyond the part that is drawn.

two_features = X[["area error", "worst concave points"]]
drawn = two_features["area error"] < 150
pair, labels = two_features[drawn], y[drawn]
dots = {"cmap": "coolwarm", "s": 8, "edgecolors": "k", "linewidths": 0.2}
for name, quantizer in quantizers.items():
    clf = FHEGradientBoostingClassifier(
        n_estimators=20, max_depth=2, quantizer=quantizer, random_state=0
    )
    clf.fit(two_features, y).compile()
    fig, ax = plt.subplots(figsize=(5, 4.2), layout="constrained")
    display = DecisionBoundaryComparisonDisplay.from_estimator(
        clf, pair, ax=ax
    )
    ax.scatter(*pair.to_numpy().T, c=labels, **dots)
    different = f"{display.n_different} of {display.encrypted.size:,}"
    ax.set_title(f"{name}: {different} points differ", fontsize="medium")
plt.show()

# sphinx_gallery_thumbnail_number = 5

# %%
# Take ``"threshold"`` unless clients must not see thresholds; then
# ``"quantile"`` or ``"uniform"`` with as few bits as the curve allows. A row
# at a time, hiding them costs little.
# :doc:`/user_guide/quantizers` has the details.
