"""
Ten classes: reading encrypted digits
=====================================

A server recognises handwritten digits without seeing them: boosted trees with
ten classes, a confusion matrix made of encrypted predictions, and a look at
the images it got wrong.
"""

# %%
# A model of ten scores
# ---------------------
#
# The digits of scikit-learn are images of 8 x 8 pixels. Gradient boosting
# trains ten trees a round, one for each class; the server answers with ten
# encrypted scores a row, and the client picks the largest after decryption.
# Taking the largest under encryption would cost many levels, and the client
# may see the scores anyway.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

from fhe_estimators import FHEGradientBoostingClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, random_state=0, stratify=y
)

clf = FHEGradientBoostingClassifier(
    n_estimators=30, max_depth=3, random_state=0
)
clf.fit(X_train, y_train).compile()
facts = clf.program_.describe()
print(f"{clf.ensemble_.n_trees} trees of {facts['depth']} levels")
print(f"{sum(map(len, clf.quantizer_.edges_))} distinct comparisons")
print(f"an answer has {facts['download_bytes'] / 1e6:.1f} MB,")
print(f"for up to {facts['rows_per_batch']:,} rows of ten scores")

# %%
# Predict under encryption
# ------------------------
#
# All test images travel in one request.

probabilities = clf.predict_proba(X_test, fhe="execute")
labels = clf.classes_[probabilities.argmax(axis=1)]

print(f"{len(labels)} encrypted images")
print(f"accuracy {(labels == y_test).mean():.4f}")
in_the_clear = clf.predict_proba(X_test)
equal = np.array_equal(probabilities, in_the_clear)
print("equal to the model in the clear:", equal)
equal = np.array_equal(labels, clf.estimator_.predict(X_test))
print("labels of XGBoost itself:       ", equal)

# %%
# scikit-learn's tools take the decrypted labels like any others.

fig, ax = plt.subplots(figsize=(6, 5.5), layout="constrained")
ConfusionMatrixDisplay.from_predictions(
    y_test, labels, ax=ax, cmap="Blues", colorbar=False
)
ax.set_title("labels from encrypted predictions")
plt.show()

# %%
# What it got wrong, and what it was least sure of
# ------------------------------------------------
#
# Above: the first mistakes. Below: right answers with the smallest
# probabilities.

wrong = np.flatnonzero(labels != y_test)[:8]
right = np.flatnonzero(labels == y_test)
unsure = right[probabilities.max(axis=1)[right].argsort()[:8]]
fig, axes = plt.subplots(2, 8, figsize=(11, 3.6), layout="constrained")
for ax, i in zip(axes.ravel(), np.concatenate([wrong, unsure]), strict=True):
    ax.imshow(X_test[i].reshape(8, 8), cmap="gray_r")
    sure = f"{probabilities[i].max():.0%} sure"
    title = f"read {labels[i]}, is {y_test[i]}\n{sure}"
    ax.set_title(title, fontsize="small")
    ax.set_axis_off()
plt.show()

# %%
# A random forest would do, too. But its leaves hold ten probabilities each, so
# a node costs up to ten times what a node of a boosted tree costs, whose
# leaves hold one number: with many classes, prefer boosting.
