"""Tiny models of many architectures, with weights from a fixed seed."""

import torch
import transformers

VOCABULARY = 61
_COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
_MORE = {
    "Albert": {"embedding_size": 16},
    "DebertaV2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8},
    "DistilBert": {"dim": 32, "n_heads": 4, "n_layers": 2, "hidden_dim": 48},
    "Electra": {"embedding_size": 16},
    "GPT2": {"n_inner": 48},
    "Mixtral": {"num_local_experts": 4, "num_key_value_heads": 2},
    "ModernBert": {"cls_token_id": 1, "sep_token_id": 2},
    "Olmoe": {"num_experts": 4, "num_experts_per_tok": 2, "num_key_value_heads": 2},
    "Qwen2Moe": {
        "num_experts": 4,
        "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 24,
        "num_key_value_heads": 2,
        "num_experts_per_tok": 2,
    },
}


def config(kind, **more):
    """A tiny configuration without dropout, so that training can be repeated elsewhere."""
    found = getattr(transformers, f"{kind}Config")(**{**_COMMON, **_MORE.get(kind, {}), **more})
    for name, value in vars(found).items():
        if ("drop" in name or name == "classifier_dropout") and isinstance(value, float):
            setattr(found, name, 0.0)
    return found


def make(kind, head, **more):
    """A model such as ``make("Bert", "ForSequenceClassification")``; no bias is zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, kind + head)(config(kind, **more))
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.15)
            elif name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()
