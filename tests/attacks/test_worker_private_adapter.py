"""Adversary: a worker. Goal: the adapter that its client trained before.

``fhe-estimators split`` of a folder with an adapter loaded both, took the adapter's matrices for linear layers like any
other, and wrote them into the part that workers get. Nothing but frozen base weights may reach that folder.
"""

import json

import peft
import pytest
import torch
from safetensors.torch import load_file

from fhe_estimators.cli import main
from fhe_estimators.exceptions import UnsupportedModelError
from fhe_estimators.lora.model.groups import linear_modules
from fhe_estimators.quantizers.linear import LinearQuantizer
from tests.attacks.fine_tuning import TEXTS, tuner
from tests.lora.models import make_model


def adapted(**options):
    """A model with an adapter, all of it trained: no entry is zero."""
    settings = {"r": 4, "target_modules": ["q_proj", "v_proj", "o_proj"], "modules_to_save": ["down_proj"], **options}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = peft.get_peft_model(make_model(), peft.LoraConfig(task_type="CAUSAL_LM", **settings))
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter)
    return model


def workers_files(model, out):
    assert main(["split", str(model), "--out", str(out)]) == 0
    return {file.name: file.read_bytes() for file in (out / "workers").iterdir()}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    make_model().save_pretrained(folder / "model")
    return folder / "model", workers_files(folder / "model", folder / "parts")


@pytest.mark.parametrize("kind", ["beside the model", "alone"])
def test_the_workers_part_is_that_of_the_base_model_byte_for_byte(kind, base, tmp_path):
    model, expected = base
    private = adapted()
    private.peft_config["default"].base_model_name_or_path = str(model)
    private.save_pretrained(tmp_path / "adapted")
    if kind == "beside the model":
        make_model().save_pretrained(tmp_path / "adapted")
    files = workers_files(tmp_path / "adapted", tmp_path / "parts")
    assert files == expected
    assert set(json.loads(files["fhe_parts.json"])) == {"format_version", "layers"}
    for tensor in load_file(tmp_path / "adapted" / "adapter_model.safetensors").values():
        integers = LinearQuantizer().quantize_weights(tensor)[0]
        for secret in (tensor.numpy().tobytes(), tensor.T.contiguous().numpy().tobytes(), integers.numpy().tobytes()):
            assert not any(secret in content for content in files.values())
    kept = tmp_path / "parts" / "client" / "adapter"
    names = {"adapter_config.json", "adapter_model.safetensors"}
    assert {file.name for file in kept.iterdir()} == names and kept.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("merged", [False, True])
def test_nor_do_workers_get_it_from_a_model_in_memory(merged, base, tmp_path):
    expected = tuner(make_model()).compile().program_.layers
    private = adapted(modules_to_save=["embed_tokens"])
    if merged:
        private.merge_adapter()
    fitted = tuner(private.get_base_model()).compile()
    assert [layer.name for layer in fitted.program_.layers] == [layer.name for layer in expected]
    for layer, right in zip(fitted.program_.layers, expected, strict=True):
        difference = (layer.weights.int() - right.weights.int()).abs()
        assert difference.max() <= merged  # adding and subtracting rounds
    assert len(fitted.fit(TEXTS, fhe="disable").history_) == 2


def test_adapters_that_are_left_are_refused():
    with pytest.raises(UnsupportedModelError, match=r"q_proj has an adapter, which is private"):
        linear_modules(adapted().get_base_model().base_model)
