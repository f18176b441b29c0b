"""Training goes on from the adapter that a model comes with, or says why it cannot."""

import json

import numpy as np
import peft
import pytest
import torch

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.cli import main
from fhe_estimators.exceptions import ProtocolError, UnsupportedModelError
from fhe_estimators.lora import LocalWorker
from fhe_estimators.lora.worker.checkpoint_part import load_worker_part
from tests.lora.architectures import make
from tests.lora.models import make_model
from tests.lora.reference import relative_error, train

SETTINGS = {"batch_size": 64, "max_length": 16, "learning_rate": 1e-2, "epochs": 2, "weight_quantizer": "int16"}
CONFIG = {
    "r": 3,
    "lora_alpha": 7,
    "use_rslora": True,
    "target_modules": ["q_proj", "down_proj"],
    "modules_to_save": ["embed_tokens"],
    "task_type": "CAUSAL_LM",
}


def trained(model, seed=1, **options):
    """A model with an adapter of which no entry is zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        adapted = peft.get_peft_model(model, peft.LoraConfig(**{**CONFIG, **options}))
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=1.0 if "embed" in name or "score" in name else 0.3)
    return adapted.eval()


def logits(model, sequences):
    with torch.no_grad():
        return model(torch.tensor(sequences)).logits


def loss_of(sequences):
    ids = torch.tensor(sequences)
    return lambda model: model(input_ids=ids, labels=ids).loss


@pytest.fixture
def folders(tmp_path):
    """The base model, the adapter alone, and the adapter beside the model."""
    make_model().save_pretrained(tmp_path / "base")
    adapted = trained(make_model())
    adapted.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    adapted.save_pretrained(tmp_path / "adapter")
    adapted.save_pretrained(tmp_path / "both")
    make_model().save_pretrained(tmp_path / "both")
    return tmp_path


@pytest.mark.parametrize("given", ["PeftModel", "transformers model", "adapter", "both"])
def test_it_scores_and_trains_as_pefts_model_does(given, folders, sequences):
    model = {"PeftModel": trained(make_model()), "transformers model": trained(make_model()).get_base_model()}
    tuner = HELoRAFineTuner(model.get(given, str(folders / given)), **SETTINGS).compile()
    plain = trained(make_model())
    before = float(loss_of(sequences)(plain).detach())
    assert -tuner.score(sequences) == pytest.approx(before, rel=1e-4)
    found, expected = logits(tuner.program_.model, sequences), logits(plain, sequences)
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0.01)
    assert (logits(make_model(), sequences) - expected).abs().max() > 0.2  # the base model's are others
    tuner.fit(sequences, fhe="disable")
    losses, _ = train(plain, loss_of(sequences), [1e-2] * 2)
    np.testing.assert_allclose([entry["loss"] for entry in tuner.history_], losses, rtol=1e-3)
    found = {name: p for name, p in tuner.model_.named_parameters() if p.requires_grad}
    assert relative_error(found, {name: p for name, p in plain.named_parameters() if p.requires_grad}) < 0.01
    tuner.save_adapter(folders / "trained")
    config = json.loads((folders / "trained" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["use_rslora"]) == (3, 7, True)
    loaded = peft.PeftModel.from_pretrained(make_model(), folders / "trained").eval()
    torch.testing.assert_close(logits(loaded, sequences), logits(plain, sequences), atol=2e-2, rtol=1e-2)
    torch.testing.assert_close(logits(tuner.merge(), sequences), logits(loaded, sequences), atol=1e-4, rtol=1e-4)
    again = tuner.fit(sequences, fhe="disable").history_  # from the same adapter
    assert again[0]["loss"] == pytest.approx(before, rel=1e-3)


def test_a_failed_fit_leaves_the_adapter_that_it_came_with(sequences, monkeypatch):
    tuner = HELoRAFineTuner(trained(make_model()), **SETTINGS).compile()
    before = tuner.score(sequences)
    monkeypatch.setattr("fhe_estimators.lora.training.loop.Training.run", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tuner.fit(sequences, fhe="disable")
    assert tuner.score(sequences) == before


def test_a_split_model_keeps_it_with_the_client(folders, sequences):
    assert main(["split", str(folders / "adapter"), "--out", str(folders / "parts")]) == 0
    worker = LocalWorker(load_worker_part(folders / "parts" / "workers"))
    split = HELoRAFineTuner(folders / "parts" / "client", workers=[worker], max_length=16).compile()
    assert -split.score(sequences) == pytest.approx(float(loss_of(sequences)(trained(make_model()))), rel=0.01)
    split.set_params(max_steps=1).fit(sequences).save_adapter(folders / "trained")
    again = HELoRAFineTuner(folders / "trained", workers=[worker], max_length=16).compile()  # of a split model
    assert again.score(sequences) == pytest.approx(split.score(sequences), rel=0.01)


def test_a_classifier_with_a_trained_head(sequences, labels, tmp_path):
    names = {0: "steady", 1: "fast", 2: "slow"}
    whole = make("Llama", "ForSequenceClassification", num_labels=3)
    base = make("Llama", "ForSequenceClassification", num_labels=2)  # the head is in the adapter
    base.model.load_state_dict(whole.model.state_dict())
    base.save_pretrained(tmp_path / "base")
    whole.config.id2label = names
    adapted = trained(whole, task_type="SEQ_CLS", modules_to_save=None)
    sequences = [[token or 1 for token in ids] for ids in sequences]
    expected = logits(adapted, sequences)
    settings = {**SETTINGS, "task": "sequence-classification"}
    tuner = HELoRAFineTuner(adapted, **settings).compile()
    assert tuner.classes_.tolist() == ["fast", "slow", "steady"]
    found = torch.from_numpy(tuner.predict_proba(sequences))
    torch.testing.assert_close(found, expected.softmax(dim=1)[:, [1, 2, 0]], atol=1e-3, rtol=1e-2)
    codes = torch.tensor([{"steady": 0, "fast": 1, "slow": 2}[label] for label in labels])
    tuner.fit(sequences, labels, fhe="disable")
    before = float(torch.nn.functional.cross_entropy(expected, codes))
    assert tuner.history_[0]["loss"] == pytest.approx(before, rel=1e-3)
    adapted.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    adapted.save_pretrained(tmp_path / "adapter")
    alone = HELoRAFineTuner(tmp_path / "adapter", **settings).compile()
    assert alone.classes_.tolist() == [0, 1, 2]
    torch.testing.assert_close(
        torch.from_numpy(alone.predict_proba(sequences)), expected.softmax(dim=1), atol=1e-3, rtol=1e-2
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r": 4}, r"an adapter of r=3, which training goes on from, but r=4 is asked for"),
        ({"lora_alpha": 5}, "lora_alpha=7"),
        ({"lora_dropout": 0.1}, "lora_dropout=0.0"),
        ({"target_modules": ["q_proj"]}, r"target_modules=\['down_proj', 'q_proj'\].*target_modules=\['q_proj'\]"),
        ({"lora_config": peft.LoraConfig(r=4)}, "lora_config with r=4"),
        ({"lora_config": peft.LoraConfig(r=3, lora_alpha=7, modules_to_save=["norm"])}, "modules_to_save"),
        ({"task": "sequence-classification"}, "task_type='CAUSAL_LM', but task='sequence-classification'"),
    ],
)
def test_settings_that_conflict_with_its_own_are_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        HELoRAFineTuner(trained(make_model()), **options).compile()


def test_settings_that_repeat_its_own_are_none(sequences):
    own = {"r": 3, "lora_alpha": 7, "target_modules": ["down_proj", "q_proj"]}
    HELoRAFineTuner(trained(make_model()), **own).compile()
    given = peft.LoraConfig(**{**CONFIG, "target_modules": ["down_proj", "q_proj"]})
    tuner = HELoRAFineTuner(trained(make_model()), lora_config=given).compile()
    with pytest.raises(ValueError, match="r=5 is asked for"):
        tuner.set_params(lora_config=None, r=5).fit(sequences, fhe="disable")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            peft.LoHaConfig(target_modules=["q_proj"]),
            "kind LOHA, which cannot be trained here.*Merge it into the model",
        ),
        (peft.LoKrConfig(target_modules=["q_proj"]), "kind LOKR"),
        (peft.IA3Config(target_modules=["k_proj"], feedforward_modules=[]), "kind IA3"),
        (peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2), "kind PROMPT_TUNING"),
        (peft.LoraConfig(use_dora=True, target_modules=["q_proj"]), "model comes with has use_dora=True: DoRA divides"),
        (peft.LoraConfig(bias="all", target_modules=["q_proj"]), "bias='all': biases belong to the base model"),
        (peft.LoraConfig(modules_to_save=["down_proj"], target_modules=["q_proj"]), "'down_proj' in modules_to_save"),
    ],
)
@pytest.mark.parametrize("from_folder", [False, True])
def test_adapters_that_cannot_be_trained_here_are_refused_with_the_reason(config, message, from_folder, tmp_path):
    model = make_model()
    model.save_pretrained(tmp_path / "base")
    adapted = peft.get_peft_model(model, config)
    if from_folder:
        adapted.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
        adapted.save_pretrained(tmp_path / "adapter")
    with pytest.raises(UnsupportedModelError, match=message):
        HELoRAFineTuner(tmp_path / "adapter" if from_folder else adapted).compile()


def test_one_of_several_adapters_is_active(sequences):
    model = trained(make_model())
    model.add_adapter("other", peft.LoraConfig(r=2, target_modules=["v_proj"]))
    assert HELoRAFineTuner(model, **SETTINGS).compile().program_.start.config.r == 3
    model.base_model.set_adapter(["default", "other"])
    with pytest.raises(UnsupportedModelError, match=r"active adapters \['default', 'other'\].*set_adapter"):
        HELoRAFineTuner(model, **SETTINGS).compile()


def test_adapters_in_folders_that_say_too_little(folders):
    path = folders / "adapter" / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "base_model_name_or_path": None}))
    with pytest.raises(ValueError, match=r"adapter of a model that was in memory.*PeftModel\.from_pretrained"):
        HELoRAFineTuner(folders / "adapter").compile()
    path.write_text(json.dumps(config))
    (folders / "adapter" / "adapter_model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ProtocolError, match=r"adapter in .* cannot be read"):
        HELoRAFineTuner(folders / "adapter").compile()


def test_an_adapter_of_another_model_is_refused(folders):
    make_model("qwen3").save_pretrained(folders / "adapter")
    with pytest.raises((UnsupportedModelError, RuntimeError)):
        HELoRAFineTuner(folders / "adapter").compile()


def test_training_states_belong_to_the_adapter_that_was_begun_with(sequences, tmp_path):
    settings = {**SETTINGS, "checkpoint_dir": tmp_path}
    first = HELoRAFineTuner(trained(make_model()), **settings).fit(sequences, fhe="disable").history_
    assert HELoRAFineTuner(trained(make_model()), **settings).fit(sequences, fhe="disable").history_ == first
    with pytest.raises(ValueError, match="adapter that the model came with"):
        HELoRAFineTuner(trained(make_model(), seed=2), **settings).fit(sequences, fhe="disable")
