"""An independent loop: PEFT on the original float32 model, in a few lines of PyTorch."""

import copy

import torch
from peft import LoraConfig, get_peft_model
from transformers import TrainerCallback


class Recorder(TrainerCallback):
    """Keeps what training began with, and the gradients of every step, shortened ones if they are."""

    def __init__(self):
        self.start, self.gradients, self.events = {}, [], []

    def __deepcopy__(self, memo):
        return self

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        self.start = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad})


def peft_model(model, start, **config):
    """PEFT's model with the adapter and head that training began with."""
    model = get_peft_model(copy.deepcopy(model).float(), LoraConfig(**{"r": 8, "lora_alpha": 16, **config}))
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert set(trained) == set(start)
    with torch.no_grad():
        for name, value in start.items():
            trained[name].copy_(value)
    return model.eval()


def train(model, loss_of, rates, *, weight_decay=0.0, max_grad_norm=1.0):
    """Losses and gradients of full-batch steps, and the model that was trained."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), weight_decay=weight_decay)
    losses, gradients = [], []
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        if max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(trained.values(), max_grad_norm)
        gradients.append({name: p.grad.clone() for name, p in trained.items()})
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses, gradients


def relative_error(found, expected):
    """Of all tensors together."""
    found = {name: value.detach() for name, value in found.items()}
    expected = {name: value.detach() for name, value in expected.items()}
    difference = sum(float((found[name] - expected[name]).square().sum()) for name in expected)
    return (difference / sum(float(value.square().sum()) for value in expected.values())) ** 0.5
