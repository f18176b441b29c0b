"""Training states: whose they are, and that nobody else takes them up."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.backends.lwe import LWEBackend
from fhe_estimators.exceptions import ProtocolError
from tests.lora.models import make_model

SETTINGS = {"max_length": 16, "learning_rate": 1e-2, "epochs": 1, "batch_size": 8, "lora_dropout": 0.1}


def losses(tuner):
    return [entry["loss"] for entry in tuner.history_]


@pytest.fixture(scope="module")
def finished(llama, sequences, tmp_path_factory):
    """A folder with the state of a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    HELoRAFineTuner(llama, checkpoint_dir=folder, **SETTINGS).fit(sequences, fhe="disable")
    return folder


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"learning_rate": 1e-3}, r"learning_rate \(0.01 there, 0.001 now\)"),
        ({"lora_alpha": 32}, "lora_alpha"),
        ({"r": 4}, "r "),
        ({"random_state": 1}, "random_state"),
        ({"batch_size": 4}, "batch_size"),
        ({"target_modules": ["q_proj"]}, "target_modules"),
        ({"weight_quantizer": "int16"}, "weight_quantizer"),
        ({"lr_scheduler_type": "linear"}, "lr_scheduler_type"),
        ({"max_grad_norm": None}, "max_grad_norm"),
        ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps"),
    ],
)
def test_a_state_of_other_settings_is_refused(settings, named, finished, llama, sequences):
    tuner = HELoRAFineTuner(llama, checkpoint_dir=finished, **{**SETTINGS, **settings})
    with pytest.raises(ValueError, match=f"checkpoint_dir=.* differs in .*{named}"):
        tuner.fit(sequences, fhe="disable")
    assert not hasattr(tuner, "model_")


def test_a_state_of_other_data_another_model_or_mode_is_refused(finished, llama, sequences):
    tuner = HELoRAFineTuner(llama, checkpoint_dir=finished, **SETTINGS)
    with pytest.raises(ValueError, match="differs in X\\."):
        tuner.fit([*sequences[:-1], sequences[0]], fhe="disable")
    with pytest.raises(ValueError, match="differs in weights of texts"):
        tuner.fit(sequences, fhe="disable", sample_weight=np.arange(24))
    with pytest.raises(ValueError, match="differs in eval_set"):
        tuner.fit(sequences, fhe="disable", eval_set=sequences)
    with pytest.raises(ValueError, match=r"fhe \('disable' there, 'simulate' now\)"):
        tuner.fit(sequences, fhe="simulate")
    for name in ("model.embed_tokens.weight", "model.norm.weight", "model.layers.1.mlp.up_proj.weight"):
        other = make_model()
        other.get_parameter(name).data[0] += 0.5
        with pytest.raises(ValueError, match="differs in model\\."):
            HELoRAFineTuner(other, checkpoint_dir=finished, **SETTINGS).fit(sequences, fhe="disable")


def test_a_state_of_other_labels_or_another_backend_is_refused(tmp_path, llama, sequences, labels):
    settings = {**SETTINGS, "task": "sequence-classification", "checkpoint_dir": tmp_path, "max_steps": 1}
    HELoRAFineTuner(llama, **settings).fit(sequences, labels, fhe="simulate")
    with pytest.raises(ValueError, match=r"differs in y\."):
        HELoRAFineTuner(llama, **settings).fit(sequences, labels[::-1], fhe="simulate")
    with pytest.raises(ValueError, match=r"differs in backend\."):
        HELoRAFineTuner(llama, backend=LWEBackend(parameters="precise"), **settings).fit(
            sequences, labels, fhe="simulate"
        )
    HELoRAFineTuner(llama, **settings).fit(sequences, labels, fhe="simulate")


def test_training_goes_on_for_more_epochs_with_settings_that_may_change(tmp_path, llama, sequences):
    whole = HELoRAFineTuner(llama, **{**SETTINGS, "epochs": 2}).fit(sequences, fhe="disable")
    HELoRAFineTuner(llama, checkpoint_dir=tmp_path, **SETTINGS).fit(sequences, fhe="disable")
    changed = {"epochs": 2, "checkpoint_steps": 1, "verify_bits": 50, "max_steps": 6}
    longer = HELoRAFineTuner(llama, checkpoint_dir=tmp_path, **{**SETTINGS, **changed}).fit(sequences, fhe="disable")
    np.testing.assert_allclose(losses(longer), losses(whole), rtol=1e-6)
    with pytest.raises(ValueError, match="holds 6 steps, but epochs and max_steps ask for 3"):
        HELoRAFineTuner(llama, checkpoint_dir=tmp_path, **SETTINGS).fit(sequences, fhe="disable")


def test_the_order_of_an_unseeded_run_is_kept(tmp_path, llama, sequences):
    settings = {**SETTINGS, "random_state": None, "epochs": 2}
    first = HELoRAFineTuner(llama, checkpoint_dir=tmp_path, max_steps=4, **settings).fit(sequences, fhe="disable")
    with safe_open(tmp_path / "state.safetensors", "pt") as file:
        seed = json.loads(file.metadata()["work"])["random_state"]
    resumed = HELoRAFineTuner(llama, checkpoint_dir=tmp_path, **settings).fit(sequences, fhe="disable")
    with safe_open(tmp_path / "state.safetensors", "pt") as file:
        assert json.loads(file.metadata()["work"])["random_state"] == seed
    assert losses(resumed)[:4] == losses(first)
    assert len(losses(resumed)) == 6
    again = HELoRAFineTuner(llama, **settings).fit(sequences, fhe="disable")
    assert losses(again) != losses(resumed)  # unseeded, indeed


def test_a_search_shares_no_states(tmp_path, llama, sequences, labels):
    tuner = HELoRAFineTuner(
        llama, task="sequence-classification", max_length=16, epochs=4, batch_size=24, learning_rate=3e-2
    )
    grid = {"learning_rate": [1e-6, 3e-2]}
    plain = GridSearchCV(tuner, grid, cv=2).fit(sequences, labels, fhe="disable")
    kept = GridSearchCV(tuner.set_params(checkpoint_dir=tmp_path), grid, cv=2)
    kept.fit(sequences, labels, fhe="disable")
    for split in range(2):
        np.testing.assert_array_equal(
            plain.cv_results_[f"split{split}_test_score"], kept.cv_results_[f"split{split}_test_score"]
        )
    states = sorted(tmp_path.glob("*/state.safetensors"))
    assert len(states) == 5  # two candidates in two folds, and the best on everything
    assert not (tmp_path / "state.safetensors").exists()
    times = [path.stat().st_mtime_ns for path in states]
    GridSearchCV(tuner, grid, cv=2).fit(sequences, labels, fhe="disable")  # goes on, here from the end
    assert [path.stat().st_mtime_ns for path in states] == times


def test_clones_with_more_epochs_have_folders_of_their_own(tmp_path, llama, sequences):
    tuner = HELoRAFineTuner(llama, checkpoint_dir=tmp_path, **SETTINGS)
    for epochs in (2, 1):
        assert len(clone(tuner).set_params(epochs=epochs).fit(sequences, fhe="disable").history_) == 3 * epochs
    tuner.fit(sequences, fhe="disable")
    assert len(list(tmp_path.glob("**/state.safetensors"))) == 3


def test_a_state_that_says_nothing_of_its_work_is_refused(tmp_path, llama, sequences):
    from safetensors.torch import save_file

    save_file({"parameter/x": torch.zeros(1)}, tmp_path / "state.safetensors", {"step": "1"})
    with pytest.raises(ProtocolError, match="does not say what it is of"):
        HELoRAFineTuner(llama, checkpoint_dir=tmp_path, **SETTINGS).fit(sequences, fhe="disable")
