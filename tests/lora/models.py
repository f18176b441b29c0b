"""Small language models of each architecture, with weights from a fixed seed."""

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

VOCABULARY = 61


def make_model(kind="llama"):
    common = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 0}
    llama = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "llama":
            model = LlamaForCausalLM(LlamaConfig(**common, **llama))
        elif kind == "qwen2":  # with biases
            model = Qwen2ForCausalLM(Qwen2Config(**common, **llama))
            for name, parameter in model.named_parameters():
                if name.endswith("bias"):
                    torch.nn.init.normal_(parameter, std=0.1)
        elif kind == "qwen3":  # norms between projections and attention, heads of another size
            model = Qwen3ForCausalLM(Qwen3Config(**common, **llama, head_dim=16))
        else:  # Conv1D
            model = GPT2LMHeadModel(GPT2Config(**common, n_embd=32, n_layer=2, n_head=4, n_positions=64))
    return model.eval()
