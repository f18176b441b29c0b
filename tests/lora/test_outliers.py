"""Weights that are far larger than the others neither spoil their rounding nor go unnoticed."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.cli import main
from fhe_estimators.exceptions import ProtocolError
from fhe_estimators.lora import LocalWorker
from fhe_estimators.lora.client.loading import load_model
from fhe_estimators.lora.model.outliers import round_weights
from fhe_estimators.lora.worker.checkpoint_part import load_worker_part
from fhe_estimators.lora.worker.serve_command import load_worker
from fhe_estimators.quantizers.linear import LinearQuantizer, resolve_linear_quantizer
from tests.lora.models import make_model
from tests.lora.reference import Recorder, peft_model, relative_error, train

SETTINGS = {"batch_size": 64, "max_length": 16, "learning_rate": 1e-3, "epochs": 2}
PLACES = {"q_proj": 5, "down_proj": 7, "o_proj": 0}


def outlying(kind="column", factor=100.0):
    """A model in which one column (an input) or row (an output) of some weights is so many times the others."""
    model = make_model()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            for place, number in PLACES.items():
                if f"{place}.weight" in name:
                    part = parameter[:, number] if kind == "column" else parameter[number]
                    part.mul_(factor)
    return model


def loss_of(sequences):
    ids = torch.tensor(sequences)
    return lambda model: model(input_ids=ids, labels=ids).loss


@pytest.mark.parametrize("fhe", ["disable", "execute"])
def test_a_large_column_trains_right(fhe, sequences):
    model, recorder, sequences = outlying(), Recorder(), sequences[:4]
    tuner = HELoRAFineTuner(model, callbacks=[recorder], **SETTINGS).fit(sequences, fhe=fhe)
    plain = peft_model(model, recorder.start, target_modules="all-linear", task_type="CAUSAL_LM")
    losses, gradients = train(plain, loss_of(sequences), [1e-3] * 2)
    np.testing.assert_allclose([entry["loss"] for entry in tuner.history_], losses, rtol=5e-3)
    for found, wanted in zip(recorder.gradients, gradients, strict=True):
        assert relative_error(found, wanted) < 0.05
    facts = tuner.program_.describe()
    assert facts["n_outlier_columns"] == 6
    assert max(facts["rounding_errors"].values()) < 0.025


def test_a_large_row_trains_right(sequences):
    model, gradients, sequences = outlying("row"), [], sequences[:4]
    for fhe in ("disable", "execute"):
        recorder = Recorder()
        tuner = HELoRAFineTuner(model, callbacks=[recorder], **SETTINGS).fit(sequences, fhe=fhe)
        gradients.append(recorder.gradients[0])
    assert relative_error(*gradients[::-1]) < 0.05
    facts = tuner.program_.describe()
    assert facts["n_outlier_columns"] == 0 and max(facts["rounding_errors"].values()) < 0.025


def test_without_taking_columns_out_the_others_would_be_lost(monkeypatch, sequences):
    monkeypatch.setattr("fhe_estimators.lora.model.outliers._MAX_SHARE", 0)
    monkeypatch.setattr("fhe_estimators.lora.model.outliers._OUTLIER", float("inf"))
    with pytest.warns(RuntimeWarning, match=r"changes the weights of \d of 8 layers by more than 5%.*int16"):
        facts = HELoRAFineTuner(outlying()).compile().program_.describe()
    assert max(facts["rounding_errors"].values()) > 0.1


def test_ordinary_weights_are_rounded_as_they_are(llama):
    weights = torch.randn(40, 64, generator=torch.Generator().manual_seed(0))
    found = round_weights(weights, LinearQuantizer())
    assert len(found.columns) == 0 and 0.004 < found.error < 0.012
    assert torch.equal(found.integers, LinearQuantizer().quantize_weights(weights)[0])
    assert round_weights(weights, LinearQuantizer(n_limbs=2)).error < 1e-4
    assert round_weights(torch.zeros(3, 4), LinearQuantizer()).error == 0
    facts = HELoRAFineTuner(llama).compile().program_.describe()
    assert facts["n_outlier_columns"] == 0 and set(facts["rounding_errors"]) == {
        layer.name for layer in HELoRAFineTuner(llama).compile().program_.layers
    }


@pytest.mark.parametrize("n_outliers", [1, 3])
def test_what_is_taken_out_are_the_large_columns_in_full_precision(n_outliers):
    weights = torch.randn(40, 128, generator=torch.Generator().manual_seed(0))
    weights[:, 9 : 9 + n_outliers] *= 100
    weights[3] = 0
    found = round_weights(weights, LinearQuantizer())
    assert found.columns.tolist() == list(range(9, 9 + n_outliers))
    assert torch.equal(found.outliers, weights[:, found.columns])
    assert not found.integers[:, found.columns].any() and found.error < 0.012


@pytest.mark.parametrize("case", ["one large scale", "spikes"])
def test_what_cannot_be_mended_is_told(case, llama):
    model = make_model()
    with torch.no_grad():
        weight = model.model.layers[0].mlp.down_proj.weight
        if case == "spikes":
            weight[torch.arange(32), torch.arange(32)] = 100 * weight.std()  # in every row elsewhere
        else:
            weight[3] *= 100
    quantizer = "int8" if case == "spikes" else LinearQuantizer(per_channel=False)
    with pytest.warns(RuntimeWarning, match=r"most in layers\.0\.mlp\.down_proj: .*% of typical weights"):
        HELoRAFineTuner(model, weight_quantizer=quantizer).compile()


def test_workers_hold_the_same_weights_and_split_models_keep_the_columns(sequences, tmp_path):
    outlying().save_pretrained(tmp_path / "model")
    assert main(["split", str(tmp_path / "model"), "--out", str(tmp_path / "parts")]) == 0
    worker = LocalWorker(load_worker_part(tmp_path / "parts" / "workers"))
    whole = HELoRAFineTuner(tmp_path / "model", **SETTINGS).compile()
    assert worker.digests() == load_worker(str(tmp_path / "model")).digests()
    split = HELoRAFineTuner(tmp_path / "parts" / "client", workers=[worker], **SETTINGS).compile()
    found, expected = split.program_.describe(), whole.program_.describe()
    for name in ("rounding_errors", "n_outlier_columns"):
        assert found[name] == expected[name]
    assert split.score(sequences[:4]) == pytest.approx(whole.score(sequences[:4]), rel=1e-3)
    tensors = load_file(tmp_path / "parts" / "client" / "fhe_layers.safetensors")
    name = next(name for name in tensors if name.endswith("outliers/columns"))
    save_file({**tensors, name: tensors[name] + 1000}, tmp_path / "parts" / "client" / "fhe_layers.safetensors")
    with pytest.raises(ProtocolError, match=r"damaged: outliers of layer .* do not fit"):
        load_model(tmp_path / "parts" / "client", "causal-lm")


def test_quantizers_by_name_measure_the_same(llama):
    weights = llama.model.layers[0].mlp.down_proj.weight
    errors = {name: round_weights(weights, resolve_linear_quantizer(name)).error for name in ("int8", "int16")}
    assert errors["int16"] < errors["int8"] / 100
