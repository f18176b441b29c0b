"""Embeddings of added tokens are saved with the adapter, so that what is loaded answers as what was trained."""

import numpy as np
import peft
import pytest
import torch
from safetensors import safe_open

from fhe_estimators import HELoRAFineTuner
from tests.lora.architectures import make
from tests.lora.models import VOCABULARY, make_model
from tests.lora.tokenizers import WORDS, make_tokenizer

SETTINGS = {"max_length": 16, "max_steps": 2, "learning_rate": 1e-2, "weight_quantizer": "int16"}
ADDED = ["<tool>", "<call>"]
TEXTS = ["w1 w2 <tool> w3 <call> w4", "<tool> w5 w6 <call>"] * 4


def tokenizer():
    made = make_tokenizer()
    made.add_tokens(ADDED)
    return made


def base(kind, seed):
    """The original model, resized as its next user does it: with other random numbers."""
    model = make_model() if kind == "tied" else make("Mistral", "ForCausalLM", num_key_value_heads=2)
    if seed is not None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model.resize_token_embeddings(VOCABULARY + len(ADDED), mean_resizing=False)
            model.get_input_embeddings().weight.data[VOCABULARY:].normal_()
            model.get_output_embeddings().weight.data[VOCABULARY:].normal_()
    return model


def logits(model):
    with torch.no_grad():
        return model(torch.tensor([[1, 2, VOCABULARY, 4, VOCABULARY + 1]])).logits


@pytest.mark.parametrize("kind", ["tied", "untied"])
@pytest.mark.parametrize("resized", [True, False])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"trainable_token_indices": [VOCABULARY, VOCABULARY + 1]},
        {"modules_to_save": ["embed_tokens"]},
        {"target_modules": ["q_proj", "embed_tokens"]},
    ],
)
def test_logits_after_loading_are_equal(kind, resized, config, tmp_path):
    assert len(WORDS) == VOCABULARY
    config = peft.LoraConfig(**{"target_modules": ["q_proj"], **config})
    tuner = HELoRAFineTuner(base(kind, 1 if resized else None), tokenizer(), lora_config=config, **SETTINGS)
    if resized:
        tuner.fit(TEXTS, fhe="disable")
    else:
        with pytest.warns(RuntimeWarning, match="tokenizer has 63 tokens, but the model has embeddings of 61"):
            tuner.fit(TEXTS, fhe="disable")
    tuner.save_adapter(tmp_path)
    loaded = peft.PeftModel.from_pretrained(base(kind, 2), tmp_path).eval()
    torch.testing.assert_close(logits(loaded), logits(tuner.model_), atol=5e-3, rtol=1e-3)
    torch.testing.assert_close(logits(tuner.merge()), logits(loaded), atol=1e-4, rtol=1e-4)
    again = HELoRAFineTuner(loaded, tokenizer(), **SETTINGS).compile()
    torch.testing.assert_close(logits(again.program_.model), logits(loaded), atol=5e-3, rtol=1e-3)


def test_added_rows_are_the_same_every_time():
    first, second = (
        HELoRAFineTuner(make_model(), tokenizer(), **SETTINGS).fit(TEXTS, fhe="disable").history_ for _ in range(2)
    )
    assert [entry["loss"] for entry in first] == [entry["loss"] for entry in second]


def test_an_adapters_folder_with_embeddings_goes_on(tmp_path):
    make_model().save_pretrained(tmp_path / "base")
    tuner = HELoRAFineTuner(tmp_path / "base", tokenizer(), **SETTINGS).fit(TEXTS, fhe="disable")
    tuner.save_adapter(tmp_path / "adapter")
    again = HELoRAFineTuner(tmp_path / "adapter", tokenizer(), **SETTINGS).compile()
    torch.testing.assert_close(logits(again.program_.model), logits(tuner.model_), atol=1e-5, rtol=1e-5)
    again.fit(TEXTS, fhe="disable").save_adapter(tmp_path / "second")
    loaded = peft.PeftModel.from_pretrained(base("tied", 2), tmp_path / "second").eval()
    torch.testing.assert_close(logits(loaded), logits(again.model_), atol=5e-3, rtol=1e-3)


@pytest.mark.parametrize("given", ["folder", "loaded", "resized"])
def test_embeddings_of_a_checkpoint_are_not_saved_again(given, sequences, tmp_path):
    make_model().save_pretrained(tmp_path / "base")
    model = tmp_path / "base"
    if given != "folder":
        model = type(make_model()).from_pretrained(model)
    if given == "resized":
        model.resize_token_embeddings(VOCABULARY + 3)
    HELoRAFineTuner(model, **SETTINGS).fit(sequences, fhe="disable").save_adapter(tmp_path / "adapter")
    with safe_open(tmp_path / "adapter" / "adapter_model.safetensors", "pt") as file:
        assert any("embed_tokens" in name for name in file.keys()) == (given == "resized")  # noqa: SIM118


def test_a_tokenizer_with_fewer_tokens_than_the_model_changes_nothing():
    model = make_model()
    model.resize_token_embeddings(128, mean_resizing=False)  # padded, as many checkpoints are
    tuner = HELoRAFineTuner(model, tokenizer(), **SETTINGS).compile()
    assert tuner.program_.vocabulary_size == 128
    assert np.isfinite(tuner.perplexity(TEXTS))
