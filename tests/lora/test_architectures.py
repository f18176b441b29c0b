"""Encoders, all kinds of heads and mixtures of experts train as with PEFT alone, and are saved for it."""

import numpy as np
import pytest
import torch
import transformers
from peft import PeftModel

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.cli import main
from fhe_estimators.exceptions import ProtocolError, UnsupportedModelError
from fhe_estimators.lora import LocalWorker
from fhe_estimators.lora.worker.checkpoint_part import load_worker_part
from fhe_estimators.lora.worker.serve_command import load_worker
from tests.lora.architectures import make
from tests.lora.reference import Recorder, peft_model, relative_error, train

CLASSIFIER = "ForSequenceClassification"
SETTINGS = {"batch_size": 64, "max_length": 16, "learning_rate": 1e-3, "epochs": 2, "weight_quantizer": "int16"}
ENCODERS = ["Albert", "Bert", "Camembert", "Deberta", "DebertaV2", "DistilBert", "Electra", "MPNet", "ModernBert"]
ENCODERS += ["Roberta", "XLMRoberta"]


def logits(model, sequences):
    with torch.no_grad():
        ids = torch.tensor(sequences)
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


def loss_of(sequences, labels=None):
    ids = torch.tensor(sequences)

    def loss(model):
        found = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        if labels is None:
            return torch.nn.functional.cross_entropy(found[:, :-1].transpose(1, 2), ids[:, 1:])
        return torch.nn.functional.cross_entropy(found, torch.tensor(labels))

    return loss


def check_against_plain_peft(tuner, recorder, model, loss, task_type):
    """Losses, all gradients and the trained weights are those of float32, but for rounding to 16 bits."""
    config = tuner.model_.peft_config["default"]
    plain = peft_model(
        model,
        recorder.start,
        target_modules="all-linear",
        modules_to_save=config.modules_to_save,
        fan_in_fan_out=type(model).__name__.startswith("GPT2"),
        task_type=task_type,
    )
    expected, gradients = train(plain, loss, [1e-3] * 2)
    np.testing.assert_allclose([entry["loss"] for entry in tuner.history_], expected, rtol=1e-3)
    for found, wanted in zip(recorder.gradients, gradients, strict=True):
        assert relative_error(found, wanted) < 0.01
    trained = {name: p for name, p in plain.named_parameters() if p.requires_grad}
    assert relative_error(dict(tuner.model_.named_parameters()), trained) < 0.01


@pytest.mark.parametrize("kind", [*ENCODERS, "GPT2", "Qwen2Moe"])
def test_classifiers_train_as_with_peft_alone_and_are_saved_for_it(kind, sequences, labels, tmp_path):
    model, recorder = make(kind, CLASSIFIER, num_labels=3), Recorder()
    sequences = [[token or 1 for token in ids] for ids in sequences]  # 0 pads
    tuner = HELoRAFineTuner(model, task="sequence-classification", callbacks=[recorder], **SETTINGS)
    tuner.fit(sequences, labels, fhe="disable")
    codes = np.searchsorted(tuner.classes_, labels)
    check_against_plain_peft(tuner, recorder, model, loss_of(sequences, codes), "SEQ_CLS")
    tuner.save_adapter(tmp_path)
    loaded = PeftModel.from_pretrained(make(kind, CLASSIFIER, num_labels=3), tmp_path).eval()
    torch.testing.assert_close(logits(loaded, sequences), logits(tuner.model_, sequences), atol=2e-3, rtol=1e-3)
    plain = tuner.merge()
    assert type(plain) is type(model) and not any("lora" in name for name in plain.state_dict())
    torch.testing.assert_close(logits(plain, sequences), logits(loaded, sequences), atol=1e-4, rtol=1e-4)
    assert plain.config.id2label[1] == "slow"


@pytest.mark.parametrize("kind", ["Mixtral", "Olmoe", "Qwen2Moe", "GPT2"])
def test_language_models_train_as_with_peft_alone(kind, sequences):
    head = "LMHeadModel" if kind == "GPT2" else "ForCausalLM"
    model, recorder = make(kind, head), Recorder()
    tuner = HELoRAFineTuner(model, callbacks=[recorder], **SETTINGS).fit(sequences, fhe="disable")
    check_against_plain_peft(tuner, recorder, model, loss_of(sequences), "CAUSAL_LM")
    plain = tuner.merge()
    torch.testing.assert_close(logits(plain, sequences), logits(tuner.model_, sequences), atol=1e-2, rtol=1e-2)
    assert plain.generate(torch.tensor([[1, 2]]), max_new_tokens=2).shape[1] <= 4


@pytest.mark.parametrize("kind", ["Albert", "DebertaV2", "Mixtral"])
def test_layers_that_are_used_several_times_and_experts_train_encrypted(kind, sequences, labels):
    model = make(kind, CLASSIFIER, num_labels=3)
    settings = {**SETTINGS, "task": "sequence-classification", "weight_quantizer": "int8", "epochs": 1}
    clear, executed = (
        HELoRAFineTuner(model, **settings).fit(sequences[:4], labels[:4], fhe=f) for f in ("disable", "execute")
    )
    assert executed.history_[0]["loss"] == pytest.approx(clear.history_[0]["loss"], rel=0.02)
    assert executed.history_[0]["upload_bytes"] > 0 == clear.history_[0]["upload_bytes"]


@pytest.mark.parametrize("kind", ["Mixtral", "Olmoe", "Qwen2Moe"])
def test_experts_stay_with_the_client_and_it_is_said(kind):
    model = make(kind, "ForCausalLM")
    with pytest.warns(RuntimeWarning, match=r"experts.*stay with the client.*of the model's weights are remote"):
        facts = HELoRAFineTuner(model, weight_quantizer="int8").compile().program_.describe()
    names = ("q_proj", "k_proj", "v_proj", "o_proj", "shared_expert")
    remote = sum(
        p.numel() for n, p in model.named_parameters() if any(f".{name}" in n for name in names) and p.ndim == 2
    )
    everything = sum(p.numel() for p in model.parameters())
    assert facts["n_remote_weights"] == remote
    assert facts["remote_share"] == pytest.approx(remote / everything, rel=1e-6)


def test_the_share_of_remote_weights_does_not_depend_on_adapters(llama, sequences):
    tuner = HELoRAFineTuner(llama, max_steps=1).compile()
    before = tuner.program_.describe()["remote_share"]
    assert 0.5 < before < 1
    assert tuner.fit(sequences, fhe="disable").program_.describe()["remote_share"] == before


@pytest.mark.parametrize(
    ("kind", "head"), [("Bert", "Model"), ("Bert", "ForMaskedLM"), ("Roberta", "Model"), ("DistilBert", "ForMaskedLM")]
)
@pytest.mark.parametrize("from_folder", [False, True])
def test_heads_and_poolers_that_a_model_lacks_are_trained_and_saved(
    kind, head, from_folder, sequences, labels, tmp_path
):
    model = make(kind, head)
    model.save_pretrained(tmp_path / "model")
    given = tmp_path / "model" if from_folder else model
    tuner = HELoRAFineTuner(given, task="sequence-classification", **SETTINGS).fit(sequences, labels, fhe="disable")
    tuner.save_adapter(tmp_path / "adapter")
    kinds = transformers.AutoModelForSequenceClassification
    base = kinds.from_pretrained(tmp_path / "model", num_labels=3)  # with another random head and pooler
    loaded = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    torch.testing.assert_close(logits(loaded, sequences), logits(tuner.model_, sequences), atol=2e-3, rtol=1e-3)


def test_training_goes_on_though_fresh_poolers_differ(sequences, labels, tmp_path):
    settings = {**SETTINGS, "task": "sequence-classification", "checkpoint_dir": tmp_path}
    first = HELoRAFineTuner(make("Bert", "ForMaskedLM"), **settings).fit(sequences, labels, fhe="disable")
    torch.rand(1)
    again = HELoRAFineTuner(make("Bert", "ForMaskedLM"), **settings).fit(sequences, labels, fhe="disable")
    assert again.history_ == first.history_
    assert (again.predict_proba(sequences) == first.predict_proba(sequences)).all()


def test_folders_of_classifiers_are_read_as_such(sequences, labels, tmp_path):
    make("Bert", CLASSIFIER, num_labels=3).save_pretrained(tmp_path / "model")
    with pytest.raises(UnsupportedModelError, match=r"holds a classifier.*task='sequence-classification'"):
        HELoRAFineTuner(tmp_path / "model").compile()
    settings = {**SETTINGS, "weight_quantizer": "int8", "task": "sequence-classification"}
    tuner = HELoRAFineTuner(tmp_path / "model", **settings)
    tuner.fit(sequences, labels, fhe="disable")
    assert any(layer.name == "pooler.dense" for layer in tuner.program_.layers)  # a trained one is remote
    assert main(["split", str(tmp_path / "model"), "--out", str(tmp_path / "parts")]) == 0
    worker = LocalWorker(load_worker_part(tmp_path / "parts" / "workers"))
    assert worker.digests() == load_worker(str(tmp_path / "model")).digests()
    client = str(tmp_path / "parts" / "client")
    split = HELoRAFineTuner(client, workers=[worker], **settings).fit(sequences, labels)
    assert split.history_[-1]["loss"] == pytest.approx(tuner.history_[-1]["loss"], rel=0.02)
    with pytest.raises(ValueError, match=r"split classifier.*task='sequence-classification'"):
        HELoRAFineTuner(client, workers=[worker]).compile()
    with pytest.raises(UnsupportedModelError, match="no frozen weights to merge"):
        split.merge()


class TestRefused:
    @pytest.mark.parametrize("task", ["causal-lm", "sequence-classification"])
    @pytest.mark.parametrize("from_folder", [False, True])
    @pytest.mark.parametrize(
        ("kind", "head", "more"),
        [
            ("Bart", "ForConditionalGeneration", {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1}),
            ("T5", "ForConditionalGeneration", {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_heads": 4}),
        ],
    )
    def test_encoder_decoders(self, kind, head, more, from_folder, task, tmp_path):
        if kind == "Bart":
            more = {**more, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "encoder_attention_heads": 4}
        model = make(kind, head, **more)
        if from_folder:
            model.save_pretrained(tmp_path)
        with pytest.raises(UnsupportedModelError, match=r"encoder-decoder.*Use a decoder"):
            HELoRAFineTuner(tmp_path if from_folder else model, task=task).compile()

    @pytest.mark.parametrize("from_folder", [False, True])
    @pytest.mark.parametrize(
        ("kind", "head", "message"),
        [
            ("Bert", "LMHeadModel", "is an encoder.*later tokens"),
            ("Bert", "ForMaskedLM", "is an encoder|lacks weights"),
            ("Bert", CLASSIFIER, "classifier"),
            ("Llama", CLASSIFIER, "classifier"),
            ("Llama", "Model", "no head that predicts tokens|lacks weights of the language model"),
        ],
    )
    def test_what_is_no_language_model(self, kind, head, message, from_folder, tmp_path):
        model = make(kind, head)
        if from_folder:
            model.save_pretrained(tmp_path)
        with pytest.raises(UnsupportedModelError, match=message):
            HELoRAFineTuner(tmp_path if from_folder else model).compile()

    def test_architectures_without_a_classifier(self):
        with pytest.raises(UnsupportedModelError, match="no sequence classifier for OlmoeForCausalLM"):
            HELoRAFineTuner(make("Olmoe", "ForCausalLM"), task="sequence-classification").compile()

    def test_a_decoder_of_an_encoders_kind_is_a_language_model(self, sequences):
        model = make("Bert", "LMHeadModel", is_decoder=True)
        tuner = HELoRAFineTuner(model, max_steps=1, **SETTINGS).fit(sequences, fhe="disable")
        assert np.isfinite(tuner.perplexity(sequences))

    @pytest.mark.parametrize(("kind", "limit"), [("Bert", 40), ("Roberta", 39), ("GPT2", 40)])
    def test_texts_beyond_the_positions(self, kind, limit, labels):
        tuner = HELoRAFineTuner(make(kind, CLASSIFIER, num_labels=3), task="sequence-classification", max_length=64)
        texts = [[1 + n % 60 for n in range(length)] for length in [limit] * 23 + [limit + 5]]
        with pytest.raises(ValueError, match=rf"{limit + 5} tokens.* {limit} positions.*max_length to {limit} at most"):
            tuner.fit(texts, labels, fhe="disable")
        assert tuner.set_params(max_length=limit).fit(texts, labels, fhe="disable").predict(texts).shape == (24,)

    def test_parts_that_are_mixed_up(self, llama, tmp_path, capsys):
        llama.save_pretrained(tmp_path / "model")
        assert main(["split", str(tmp_path / "model"), "--out", str(tmp_path / "parts")]) == 0
        with pytest.raises(ProtocolError, match=r"workers' part.*The client loads .*parts/client"):
            HELoRAFineTuner(str(tmp_path / "parts" / "workers")).compile()
        with pytest.raises(ProtocolError, match=r"both parts.*clients load .*parts/client"):
            HELoRAFineTuner(tmp_path / "parts").compile()
        for folder, message in (("client", "give workers"), ("", "both parts")):
            assert main(["worker", "--model", str(tmp_path / "parts" / folder)]) == 1
            assert message in capsys.readouterr().err
        assert main(["split", str(tmp_path / "parts" / "client"), "--out", str(tmp_path / "again")]) == 1
        assert "client's part" in capsys.readouterr().err

    def test_adapters_are_not_merged_into_weights_that_are_elsewhere(self, llama, sequences):
        tuner = HELoRAFineTuner(llama, max_steps=1).fit(sequences, fhe="disable")
        with pytest.raises(UnsupportedModelError, match=r"use merge\(\)"):
            tuner.model_.merge_and_unload()

    def test_names_that_are_nothing(self, tmp_path):
        for name in (str(tmp_path / "nowhere"), "no-such-organization/no-such-model"):
            with pytest.raises(ValueError, match=r"cannot be loaded: it is no folder.*no model of the hub"):
                HELoRAFineTuner(name).compile()
