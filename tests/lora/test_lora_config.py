"""A `LoraConfig` of the user's: what PEFT does with it, or why it cannot be done."""

import numpy as np
import pytest
import torch
from peft import AdaLoraConfig, LoraConfig, PeftModel
from sklearn.base import clone

from fhe_estimators import HELoRAFineTuner
from tests.lora.architectures import make
from tests.lora.models import make_model
from tests.lora.reference import Recorder, peft_model, relative_error, train

SETTINGS = {"batch_size": 64, "max_length": 16, "learning_rate": 1e-3, "epochs": 2, "weight_quantizer": "int16"}


def token_loss(sequences):
    ids = torch.tensor(sequences)
    return lambda model: model(input_ids=ids, labels=ids).loss


@pytest.mark.parametrize(
    "config",
    [
        {"r": 4, "use_rslora": True},
        {"r": 4, "modules_to_save": ["embed_tokens", "norm"], "target_modules": ["q_proj"]},
        {"r": 2, "rank_pattern": {"q_proj": 5}, "alpha_pattern": {"v_proj": 3}, "lora_alpha": 7},
        {"layers_to_transform": [1], "target_modules": ["q_proj", "up_proj"]},
        {"init_lora_weights": "gaussian", "exclude_modules": ["down_proj"]},
        {"init_lora_weights": "orthogonal"},
        {"init_lora_weights": False, "trainable_token_indices": [3, 5], "target_modules": ["o_proj"]},
        {},  # PEFT's own choice of layers
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_it_trains_as_with_peft_alone_and_is_saved_and_merged(config, llama, sequences, tmp_path):
    all_linear = {"target_modules": "all-linear"} if config else {}
    recorder, given = Recorder(), LoraConfig(**{**all_linear, **config})
    tuner = clone(HELoRAFineTuner(llama, lora_config=given, callbacks=[recorder], **SETTINGS))
    tuner.fit(sequences, fhe="disable")
    plain = peft_model(
        llama, recorder.start, **{"r": 8, "lora_alpha": 8, **all_linear, **config}, task_type="CAUSAL_LM"
    )
    expected, gradients = train(plain, token_loss(sequences), [1e-3] * 2)
    np.testing.assert_allclose([entry["loss"] for entry in tuner.history_], expected, rtol=1e-3)
    for found, wanted in zip(recorder.gradients, gradients, strict=True):
        assert relative_error(found, wanted) < 0.01
    tuner.save_adapter(tmp_path)
    loaded, ids = PeftModel.from_pretrained(make_model(), tmp_path).eval(), torch.tensor(sequences)
    with torch.no_grad():
        found, ours = loaded(ids).logits, tuner.model_(ids).logits
        torch.testing.assert_close(found, ours, atol=5e-3, rtol=1e-3)
        torch.testing.assert_close(tuner.merge()(ids).logits, found, atol=1e-4, rtol=1e-4)
    assert given.task_type is None  # it is not touched
    before = [entry["loss"] for entry in tuner.history_]
    assert [entry["loss"] for entry in tuner.fit(sequences, fhe="disable").history_] == before


def test_experts_as_target_parameters(sequences):
    wanted = {"target_modules": ["q_proj"], "target_parameters": ["mlp.experts.down_proj"]}
    model, recorder = make("Olmoe", "ForCausalLM"), Recorder()
    tuner = HELoRAFineTuner(model, lora_config=LoraConfig(**wanted), callbacks=[recorder], **SETTINGS)
    tuner.fit(sequences, fhe="disable")
    plain = peft_model(model, recorder.start, lora_alpha=8, task_type="CAUSAL_LM", **wanted)
    expected, _ = train(plain, token_loss(sequences), [1e-3] * 2)
    np.testing.assert_allclose([entry["loss"] for entry in tuner.history_], expected, rtol=1e-3)


def test_training_states_are_of_a_config(llama, sequences, tmp_path):
    def tuner(**config):
        config = LoraConfig(target_modules={"q_proj", "v_proj", "o_proj"}, **config)
        return HELoRAFineTuner(llama, lora_config=config, checkpoint_dir=tmp_path, max_steps=1)

    first = tuner(r=2).fit(sequences, fhe="disable").history_
    assert tuner(r=2).fit(sequences, fhe="disable").history_ == first
    with pytest.raises(ValueError, match="lora_config"):
        tuner(r=2, use_rslora=True).fit(sequences, fhe="disable")


class TestRefused:
    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"use_dora": True}, "use_dora=True: DoRA divides by .* workers hold them"),
            ({"init_lora_weights": "pissa"}, "init_lora_weights='pissa', which begins from the frozen weights"),
            ({"init_lora_weights": "olora"}, "init_lora_weights='olora'"),
            ({"bias": "all"}, "bias='all': biases belong to the base model"),
            ({"layer_replication": [(0, 2), (0, 1)]}, "layer_replication"),
            ({"use_qalora": True}, "use_qalora=True: it is not supported"),
            ({"modules_to_save": ["q_proj"]}, r"'q_proj' in modules_to_save, but workers compute model\.layers\.0"),
            ({"modules_to_save": ["mlp"]}, r"'mlp' in modules_to_save"),
            ({"task_type": "SEQ_CLS"}, "task_type='SEQ_CLS', but task='causal-lm'"),
            ({"target_modules": ["nothing"]}, "match no layer"),
        ],
    )
    def test_of_a_config(self, config, message, llama, sequences):
        tuner = HELoRAFineTuner(llama, lora_config=LoraConfig(**config))
        with pytest.raises(ValueError, match=message):
            tuner.fit(sequences, fhe="disable")

    def test_other_configs_and_settings_given_twice(self, llama, sequences):
        with pytest.raises(TypeError, match=r"peft\.LoraConfig, got AdaLoraConfig"):
            HELoRAFineTuner(llama, lora_config=AdaLoraConfig(total_step=5)).fit(sequences, fhe="disable")
        with pytest.raises(ValueError, match="lora_config is given, and r=3, too"):
            HELoRAFineTuner(llama, r=3, lora_config=LoraConfig()).fit(sequences, fhe="disable")
