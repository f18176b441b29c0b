"""Loss on answers only: which tokens count is told by their texts, and the loss is that of a plain loop."""

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.lora.training.answers import answer_examples
from tests.lora.models import VOCABULARY

TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} : {{ m['content'] }} . {% endfor %}"
    "{% if add_generation_prompt %}assistant :{% endif %}"
)
MARKED = (
    "{% for m in messages %}{{ m['role'] }} : {% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}"
    "{% endgeneration %}{% else %}{{ m['content'] }}{% endif %} . {% endfor %}"
)
WORDS = ["<eos>", "<unk>", "user", "assistant", "system", ":", ".", *(f"w{n}" for n in range(40))]
TALK = [
    {"role": "user", "content": "w1 w2"},
    {"role": "assistant", "content": "w3"},
    {"role": "user", "content": "w4"},
    {"role": "assistant", "content": "w5 w6 w7"},
]


def make_tokenizer(template=TEMPLATE):
    words = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    found = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>", unk_token="<unk>", pad_token="<eos>")
    found.chat_template = template
    return found


def learned(X, template=TEMPLATE, *, completion_only=None, assistant_only=False):
    examples = answer_examples(
        X, make_tokenizer(template), VOCABULARY, completion_only=completion_only, assistant_only=assistant_only
    )
    return [" ".join(WORDS[label] for label in example.labels if label >= 0) for example in examples]


PAIRS = [{"prompt": "w1 w2", "completion": " w3 w4"}, {"prompt": "w5", "completion": " w6"}]


@pytest.mark.parametrize(
    "X",
    [PAIRS, pd.DataFrame(PAIRS), {name: [row[name] for row in PAIRS] for name in ("prompt", "completion")}],
    ids=["dicts", "DataFrame", "columns"],
)
def test_completions_are_learned_with_their_end(X):
    assert learned(X) == ["w3 w4 <eos>", "w6 <eos>"]
    assert learned(X, completion_only=False) == ["w1 w2 w3 w4 <eos>", "w5 w6 <eos>"]


def test_conversations():
    assert learned([{"prompt": TALK[:3], "completion": TALK[3:]}]) == ["w5 w6 w7 ."]
    assert learned([TALK], assistant_only=True) == ["w3 . w5 w6 w7 ."]
    assert learned([{"messages": TALK}], assistant_only=True) == ["w3 . w5 w6 w7 ."]
    assert learned(pd.DataFrame({"messages": [TALK, TALK[:2]]}), assistant_only=True) == ["w3 . w5 w6 w7 .", "w3 ."]
    assert learned([TALK], MARKED, assistant_only=True) == ["w3 w5 w6 w7"]


def test_the_loss_is_that_of_answers(llama):
    rows = [{"prompt": f"w{n} w{n + 1}", "completion": f" w{n + 2} w{n + 3} w{n + 4}"} for n in range(8)]
    settings = {"batch_size": 3, "max_length": 16, "max_steps": 1, "learning_rate": 1e-9, "weight_quantizer": "int16"}
    tokenizer = make_tokenizer()
    tuner = HELoRAFineTuner(llama, tokenizer, **{**settings, "batch_size": 8}).fit(rows, fhe="disable")
    ids = torch.tensor([[*tokenizer(row["prompt"] + row["completion"])["input_ids"], 0] for row in rows])
    labels = ids.clone()
    labels[:, :2] = -100
    with torch.no_grad():
        expected = float(llama(input_ids=ids, labels=labels).loss)
        everything = float(llama(input_ids=ids, labels=ids).loss)
    assert tuner.history_[0]["loss"] == pytest.approx(expected, rel=1e-3)
    assert np.log(tuner.perplexity(rows)) == pytest.approx(expected, rel=1e-3)
    tuner = HELoRAFineTuner(llama, tokenizer, completion_only_loss=False, **settings).compile()
    assert -tuner.score(rows) == pytest.approx(everything, rel=1e-3)
    assert abs(everything - expected) > 0.005


@pytest.mark.parametrize(
    ("X", "template", "message"),
    [
        ([{"prompt": "w1", "completion": " w2"}, {"prompt": "w1"}], TEMPLATE, r"X\[1\] lacks prompt or completion"),
        ([{"prompt": "w1", "completion": TALK}], TEMPLATE, r"X\[0\] needs prompt and completion that are both"),
        ([TALK[:1]], TEMPLATE, r"X\[0\] has no answer"),
        (["w1"], TEMPLATE, "assistant_only_loss=True needs conversations"),
        ([TALK], None, "no chat template"),
        ([TALK], "{{ messages | length }} {% for m in messages %}{{ m['content'] }} {% endfor %}", "generation %}"),
        ([TALK], "{{ raise_exception('no') }}", "does not fit the tokenizer's chat template: no"),
    ],
)
def test_what_cannot_be_learned(X, template, message):
    with pytest.raises(ValueError, match=message):
        learned(X, template, assistant_only=True)


def test_without_a_tokenizer(llama):
    with pytest.raises(ValueError, match="no tokenizer"):
        HELoRAFineTuner(llama).fit(PAIRS, fhe="disable")
