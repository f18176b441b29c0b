"""Activations that are made again and logits by blocks: the same training, with a fraction of the memory."""

import copy

import pytest
import torch

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.backends.lwe import LWEBackend
from fhe_estimators.backends.lwe.file_store import FileStore
from fhe_estimators.lora import LocalWorker
from fhe_estimators.lora.client import recomputation
from fhe_estimators.lora.client.recomputation import recomputed_blocks, repeated_blocks
from fhe_estimators.lora.client.tape import Tape, kept_product, playing
from fhe_estimators.lora.training import head_loss
from fhe_estimators.lora.training.examples import Example, collate
from fhe_estimators.lora.training.losses import batch_loss
from tests.lora.models import make_model

KINDS = ("llama", "qwen2", "qwen3", "gpt2")


def compiled(kind="llama", **settings):
    return HELoRAFineTuner(make_model(kind), r=2, batch_size=4, max_length=12, learning_rate=1e-2, **settings)


class CountingWorker(LocalWorker):
    def __init__(self, tuner):
        super().__init__({layer.name: layer.weights for layer in tuner.program_.layers}, name="counting")
        self.asked = []

    def multiply(self, layer, direction, ciphertexts, *, download_bits=24):
        self.asked.append((layer, direction))
        return super().multiply(layer, direction, ciphertexts, download_bits=download_bits)


def gradients_of(model, batch, *, recompute):
    model.zero_grad()
    torch.manual_seed(0)
    if recompute:
        with recomputed_blocks(model):
            loss = batch_loss(model, batch)
    else:
        loss = batch_loss(model, batch)
    loss.backward()
    return float(loss.detach()), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_losses_and_gradients_are_the_same_bit_for_bit(kind, dropout, sequences):
    tuner = compiled(kind, lora_dropout=dropout, max_steps=1).fit(sequences, fhe="disable")
    model = tuner.model_.train()
    batch = collate([Example(ids) for ids in sequences[:4]], 0, causal=True)
    plain, again = (gradients_of(model, batch, recompute=recompute) for recompute in (False, True))
    assert plain[0] == again[0] and set(plain[1]) == set(again[1]) != set()
    assert all(torch.equal(plain[1][name], again[1][name]) for name in plain[1])


@pytest.mark.parametrize("fhe", ["disable", "simulate"])
def test_whole_runs_are_the_same_bit_for_bit(fhe, sequences, monkeypatch):
    losses = [entry["loss"] for entry in compiled(max_steps=5).fit(sequences, fhe=fhe).history_]
    monkeypatch.setattr(recomputation, "repeated_blocks", lambda model: [])
    assert [entry["loss"] for entry in compiled(max_steps=5).fit(sequences, fhe=fhe).history_] == losses


def test_no_worker_is_asked_twice_and_none_below_the_first_adapter(sequences):
    tuner = compiled(max_steps=1, target_modules=r".*layers\.1\.mlp\.down_proj").compile()
    worker = CountingWorker(tuner)
    tuner.workers = [worker]
    tuner.compile().fit(sequences[:4], fhe="execute")
    forward = [layer for layer, direction in worker.asked if direction == "forward"]
    assert sorted(forward) == sorted(layer.name for layer in tuner.program_.layers)
    assert not [layer for layer, direction in worker.asked if direction == "backward"]
    assert tuner.history_[0]["hint_bytes"] == 4 * 1024 * sum(layer.n_outputs for layer in tuner.program_.layers)


def test_what_is_kept_between_the_passes_is_inputs_and_products(sequences):
    tuner = compiled(max_steps=1).fit(sequences, fhe="disable")
    model, saved = tuner.model_.train(), []
    batch = collate([Example(ids) for ids in sequences[:4]], 0, causal=True)

    def bytes_kept(recompute):
        saved.clear()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
            if recompute:
                with recomputed_blocks(model):
                    batch_loss(model, batch)
            else:
                batch_loss(model, batch)
        return sum(saved)

    assert bytes_kept(True) < bytes_kept(False) / 4


def test_blocks_are_those_of_the_outermost_lists_and_forwards_are_restored():
    tuner = compiled().compile()
    model = tuner.program_.model
    blocks = repeated_blocks(model)
    assert blocks == list(model.model.layers)
    with recomputed_blocks(model):
        assert all("forward" in vars(block) for block in blocks)
    assert not any("forward" in vars(block) for block in blocks)
    copy.deepcopy(model)


def test_a_product_that_was_changed_in_place_is_used_as_it_was():
    tape = Tape()
    with playing(tape):
        product = kept_product(lambda: torch.zeros(3))
    product += 1
    with playing(tape):
        assert torch.equal(kept_product(lambda: pytest.fail("computed again")), torch.zeros(3))


def test_of_other_devices_nothing_is_copied_and_what_was_changed_is_not_used_again():
    tape, product = Tape(), torch.zeros(3, device="meta")
    with playing(tape):
        kept_product(lambda: product)
    product += 1
    with playing(tape), pytest.raises(RuntimeError, match="changed in place"):
        kept_product(lambda: pytest.fail("computed again"))


def test_a_second_backward_pass_is_an_error():
    tape = Tape()
    with playing(tape):
        kept_product(lambda: torch.zeros(3))
    with playing(tape):
        assert torch.equal(kept_product(lambda: pytest.fail("computed again")), torch.zeros(3))
    with playing(tape), pytest.raises(RuntimeError, match="twice"):
        kept_product(lambda: torch.zeros(3))


class TestHead:
    """Losses by blocks of tokens."""

    @pytest.fixture(scope="class")
    def model(self):
        model = make_model("llama")
        for name, parameter in model.named_parameters():
            parameter.requires_grad_("down_proj" in name)
        return model

    @staticmethod
    def batch(weights=None):
        examples = [Example([1, 2, 3, 4, 5]), Example([6, 7, 8], labels=[-100, 7, 8]), Example([9])]
        return collate(examples, 0, weights=weights, causal=True)

    def reference(self, model, batch):
        losses = torch.nn.functional.cross_entropy(
            model(**batch.inputs("cpu")).logits[:, :-1].transpose(1, 2), batch.labels[:, 1:], reduction="none"
        )
        return ((losses.sum(1) * (1 if batch.weights is None else batch.weights)).sum()) / batch.n_predictions

    @pytest.mark.parametrize("block_logits", [1, 2 * 61, 1 << 22])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_loss_and_gradients_are_those_of_whole_logits(self, model, block_logits, weighted, monkeypatch):
        import numpy as np

        monkeypatch.setattr(head_loss, "_BLOCK_LOGITS", block_logits)
        batch = self.batch(np.array([0.5, 2.0, 1.0]) if weighted else None)
        found = []
        for loss in (head_loss.language_loss(model, batch), self.reference(model, batch)):
            model.zero_grad()
            (3 * loss).backward()
            found.append((loss.detach(), *(p.grad.clone() for p in model.parameters() if p.requires_grad)))
        for by_blocks, whole in zip(*found, strict=True):
            torch.testing.assert_close(by_blocks, whole, rtol=1e-5, atol=1e-7)

    def test_no_logits_of_a_whole_batch_exist(self, model, monkeypatch):
        monkeypatch.setattr(head_loss, "_BLOCK_LOGITS", 2 * 61)
        largest, multiply = [], torch.nn.functional.linear
        monkeypatch.setattr(
            torch.nn.functional, "linear", lambda *args: largest.append((r := multiply(*args)).numel()) or r
        )
        head_loss.language_loss(model, self.batch()).backward()
        n_hidden = 3 * 5 * 48
        assert max(largest) <= n_hidden < 3 * 5 * 61 * 4

    def test_nothing_to_learn_needs_no_gradient(self, model):
        with torch.no_grad():
            loss = head_loss.language_loss(model, self.batch())
        assert not loss.requires_grad and float(loss) == pytest.approx(float(self.reference(model, self.batch())))

    def test_trained_heads_and_logits_that_are_bounded_take_the_model_s_own_way(self, model):
        trained = copy.deepcopy(model)
        trained.lm_head.weight.requires_grad_(True)
        assert head_loss.language_loss(trained, self.batch()) is None

        class Bounded(type(model)):
            def forward(self, *args, **kwargs):
                output = super().forward(*args, **kwargs)
                output.logits = output.logits.tanh()
                return output

        bounded = copy.deepcopy(model)
        bounded.__class__ = Bounded
        assert head_loss.language_loss(bounded, self.batch()) is None
        assert "forward" not in vars(bounded.lm_head)


class TestMemoryBudget:
    """What does not fit lies in a file, and nothing else changes."""

    @pytest.mark.parametrize("budget", [0, 10_000])
    @pytest.mark.parametrize("fhe", ["simulate", "execute"])
    def test_it_is_kept_and_the_result_is_the_same(self, budget, fhe, sequences, tmp_path, monkeypatch):
        stores, make = [], FileStore.__init__

        def recorded(self, memory_bytes, directory=None):
            make(self, memory_bytes, directory)
            stores.append(self)

        put, most = FileStore.put, []
        monkeypatch.setattr(FileStore, "__init__", recorded)
        monkeypatch.setattr(
            FileStore, "put", lambda self, t: (put(self, t), most.append(sum(s.held_bytes for s in stores)))[0]
        )
        settings = {"max_steps": 2, "backend": LWEBackend(hint_directory=tmp_path)}
        tight = compiled(memory_budget_bytes=budget, **settings).fit(sequences, fhe=fhe)
        assert len(most) > 0 and max(most) <= budget
        assert not any(tmp_path.iterdir())
        free = compiled(**settings).fit(sequences, fhe=fhe)
        assert max(most) > 10_000
        losses = [[entry["loss"] for entry in tuner.history_] for tuner in (tight, free)]
        assert losses[0] == (losses[1] if fhe == "simulate" else pytest.approx(losses[1], rel=0.05))

    def test_places_in_the_file_are_used_again(self):
        store = FileStore(0)
        for i in range(5):
            stored = store.put(torch.full((100,), float(i)))
            assert torch.equal(stored.load(), torch.full((100,), float(i)))
            stored.release()
        assert store.file_bytes == 0 and (store._file.seek(0, 2), store.file_bytes) == (400, 0)

    @pytest.mark.parametrize("bad", [-1, 1.5, "1 GB", True])
    def test_other_values_are_refused(self, bad):
        with pytest.raises(ValueError, match="memory_budget_bytes"):
            compiled(memory_budget_bytes=bad).compile()
