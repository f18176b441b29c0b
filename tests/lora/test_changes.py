"""Parameters changed after `compile`, what `generate` is asked for, and steps that were all skipped."""

import peft
import pytest
import torch
from transformers import TrainerCallback

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.exceptions import NonFiniteError, NotCompiledError
from tests.lora.models import make_model

SETTINGS = {"max_length": 16, "max_steps": 1}


def test_parameters_changed_after_compile_take_effect_or_are_an_error(llama, sequences):
    tuner = HELoRAFineTuner(llama, **SETTINGS).compile()
    other = make_model()
    other.model.embed_tokens.weight.data *= 3
    tuner.set_params(model=other, verify=False)
    with pytest.raises(NotCompiledError, match="model, verify changed since compile"):
        tuner.perplexity(sequences)
    tuner.fit(sequences, fhe="disable")
    expected = HELoRAFineTuner(other, **SETTINGS).fit(sequences, fhe="disable")
    assert tuner.history_[0]["loss"] == expected.history_[0]["loss"]
    assert tuner.program_.verify_bits == 0
    program = tuner.program_
    assert tuner.fit(sequences, fhe="disable").program_ is program  # nothing changed


def test_generate_gives_as_many_and_as_long_continuations_as_asked(llama):
    tuner = HELoRAFineTuner(llama, **SETTINGS).compile()
    options = {"eos_token_id": None}
    many = tuner.generate([[1, 2], [3]], max_new_tokens=3, num_return_sequences=3, do_sample=True, **options)
    assert len(many) == 6 and all(len(ids) == 3 for ids in many)
    (short,) = tuner.generate([[1, 2]], max_length=5, **options)
    assert len(short) == 3
    (plain,) = tuner.generate([[1, 2]], max_new_tokens=3, **options)
    assert tuner.generate([[1, 2]], max_new_tokens=3, return_dict_in_generate=True, **options) == [plain]
    with torch.no_grad():
        assert plain[0] == int(llama(torch.tensor([[1, 2]])).logits[0, -1].argmax())


@pytest.mark.parametrize("place", ["in training", "while the adapter is made"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_fit_after_an_interrupted_one_trains_its_own_layers_only(place, error, llama, sequences, monkeypatch):
    class Interrupt(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 1:
                raise error

    tuner = HELoRAFineTuner(llama, max_length=16, max_steps=2)
    if place == "in training":
        with pytest.raises(error):
            tuner.set_params(callbacks=[Interrupt()]).fit(sequences, fhe="disable")
    else:
        real = peft.get_peft_model

        def interrupted(*args, **kwargs):
            real(*args, **kwargs)
            raise error

        monkeypatch.setattr("peft.get_peft_model", interrupted)
        with pytest.raises(error):
            tuner.fit(sequences, fhe="disable")
        monkeypatch.setattr("peft.get_peft_model", real)
    tuner.set_params(callbacks=None, target_modules=["q_proj"]).fit(sequences, fhe="disable")
    trained = [name for name, parameter in tuner.model_.named_parameters() if parameter.requires_grad]
    assert trained and all(".q_proj.lora_" in name for name in trained)
    assert not any("lora_" in name and ".q_proj." not in name for name in tuner.model_.state_dict())
    fresh = HELoRAFineTuner(llama, target_modules=["q_proj"], max_length=16, max_steps=2).fit(sequences, fhe="disable")
    assert [entry["loss"] for entry in tuner.history_] == [entry["loss"] for entry in fresh.history_]


def test_results_of_a_model_that_was_changed_are_an_error(llama, sequences, tmp_path):
    tuner = HELoRAFineTuner(llama, **SETTINGS).fit(sequences, fhe="disable").set_params(model=make_model("gpt2"))
    with pytest.raises(NotCompiledError, match="model changed since compile"):
        tuner.merge()
    with pytest.raises(NotCompiledError, match="model changed since compile"):
        tuner.save_adapter(tmp_path)


def test_training_of_skipped_steps_only_is_an_error(sequences):
    model = make_model()
    model.model.embed_tokens.weight.data[5] = float("inf")
    tuner = HELoRAFineTuner(model, **SETTINGS)
    with pytest.warns(RuntimeWarning, match="skipped"), pytest.raises(NonFiniteError, match="All steps were skipped"):
        tuner.fit([[5, 6, 7]] * 2, fhe="disable")
    assert not hasattr(tuner, "model_")
