"""Names on the hub, and models that were quantized already."""

import json
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import constants

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.exceptions import UnsupportedModelError
from tests.lora.models import make_model
from tests.lora.test_answers import make_tokenizer


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache of the hub that holds one model, and nothing else within reach."""
    snapshot = tmp_path / "models--tiny--llama" / "snapshots" / ("0" * 40)
    (tmp_path / "models--tiny--llama" / "refs").mkdir(parents=True)
    (tmp_path / "models--tiny--llama" / "refs" / "main").write_text(snapshot.name)
    make_model().save_pretrained(snapshot)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return snapshot


def test_names_on_the_hub_come_with_their_tokenizer(hub, llama):
    make_tokenizer().save_pretrained(hub)
    tuner = HELoRAFineTuner("tiny/llama", max_steps=1).fit(["w1 w2 w3", "w4 w5"], fhe="disable")
    ids = [make_tokenizer()(text)["input_ids"] for text in ("w1 w2 w3", "w4 w5")]
    assert tuner.compile().perplexity(["w1 w2 w3", "w4 w5"]) == pytest.approx(
        HELoRAFineTuner(llama).compile().perplexity(ids)
    )


def test_names_without_a_tokenizer(hub):
    with pytest.warns(RuntimeWarning, match="tiny/llama comes without a tokenizer"):
        tuner = HELoRAFineTuner("tiny/llama", max_steps=1).compile()
    assert tuner.fit([[1, 2, 3]], fhe="disable").history_


class TestQuantized:
    def test_folders_that_cannot_be_read(self, tmp_path):
        make_model().save_pretrained(tmp_path)
        config = json.loads((tmp_path / "config.json").read_text())
        config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(UnsupportedModelError, match=r"is quantized \(gptq\).*pass the model that it was made from"):
            HELoRAFineTuner(tmp_path).compile()

    def quantized(self, dequantize):
        model = make_model()
        model.hf_quantizer = SimpleNamespace(dequantize=dequantize)
        model.is_quantized = True
        model.config.quantization_config = {"quant_method": "tiny"}
        return model

    def test_models_that_transformers_can_dequantize(self, sequences):
        def dequantize(model, dtype=None):
            with torch.no_grad():
                model.model.layers[0].mlp.up_proj.weight.mul_(3)  # what was stored is a third of what is meant
            return model

        expected = make_model()
        dequantize(expected)
        found, wanted = (
            HELoRAFineTuner(model).compile().perplexity(sequences) for model in (self.quantized(dequantize), expected)
        )
        assert found == wanted != HELoRAFineTuner(make_model()).compile().perplexity(sequences)

    def test_models_that_it_cannot(self):
        def dequantize(model, dtype=None):
            raise NotImplementedError("no way back")

        with pytest.raises(UnsupportedModelError, match=r"LlamaForCausalLM is quantized \(tiny\).*no way back"):
            HELoRAFineTuner(self.quantized(dequantize)).compile()
