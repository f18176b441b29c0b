"""What may be passed as X and y, and which tokens it becomes."""

import copy
from collections import UserDict

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import check_cv

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.lora.training.examples import Example, collate, pieces
from fhe_estimators.lora.training.inputs import rows_of
from fhe_estimators.lora.training.labels import encode_labels, with_token_labels
from fhe_estimators.lora.training.tokenizing import Tokenization
from tests.lora.models import make_model
from tests.lora.tokenizers import TEMPLATE, make_tokenizer

CHAT = [{"role": "user", "content": "w1 w2"}, {"role": "assistant", "content": "w3"}]
BOS, EOS, USER, ASSISTANT, W0 = 1, 2, 4, 5, 6


class Dataset:
    """What `datasets.Dataset` looks like from outside."""

    def __init__(self, **columns):
        self.columns_ = columns
        self.column_names = list(columns)

    def __getitem__(self, name):
        return self.columns_[name]

    def __iter__(self):
        return (dict(zip(self.columns_, row, strict=True)) for row in zip(*self.columns_.values(), strict=True))


def tokens(X, tokenizer=None, **settings):
    return [e.ids for e in Tokenization(tokenizer, 61, settings.pop("pad", 0), **settings).examples(X)]


PADDED = {"input_ids": [[5, 6, 7], [8, 0, 0]], "attention_mask": [[1, 1, 1], [1, 0, 0]]}


@pytest.mark.parametrize(
    "X",
    [
        PADDED,
        UserDict(PADDED),
        {name: torch.tensor(value) for name, value in PADDED.items()},
        {name: np.array(value) for name, value in PADDED.items()},
        Dataset(**PADDED, label=[0, 1]),
        list(Dataset(**PADDED, labels=[0, 1])),
        pd.DataFrame(PADDED),
        {"input_ids": [[5, 6, 7], [0, 0, 8]], "attention_mask": [[1, 1, 1], [0, 0, 1]]},
        [[5, 6, 7], [8]],
        [np.array([5, 6, 7]), torch.tensor([8])],
        pd.Series([(5, 6, 7), (8,)]),
        (ids for ids in ([5, 6, 7], range(8, 9))),
    ],
)
def test_token_ids_come_in_many_containers_and_lose_their_padding(X):
    assert tokens(X) == [[5, 6, 7], [8]]


@pytest.mark.parametrize(
    "X", [["w0 w1", "w2"], np.array(["w0 w1", "w2"]), pd.DataFrame({"text": ["w0 w1", "w2"], "label": [0, 1]}),
          {"text": ["w0 w1", "w2"]}, Dataset(text=["w0 w1", "w2"]), [{"text": "w0 w1"}, {"text": "w2"}]]
)  # fmt: skip
def test_texts_come_in_many_containers(X):
    assert tokens(X, make_tokenizer()) == [[W0, W0 + 1], [W0 + 2]]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ({"review": ["a"], "stars": [1]}, r"columns \['review', 'stars'\].*X\['review'\]"),
        (pd.DataFrame({"review": ["a"]}), r"columns \['review'\]"),
        (Dataset(review=["a"]), r"columns \['review'\]"),
        ([{"review": "a"}], r"X\[0\] has the columns"),
        ({"train": Dataset(text=["a"]), "test": Dataset(text=["b"])}, r"\['train', 'test'\].*X\['train'\]"),
        ({"input_ids": [5, 6], "attention_mask": [1, 1]}, "single text in 'input_ids'"),
        ({"text": "a"}, "single text in 'text'"),
        ({"input_ids": [[5, 6]], "attention_mask": [[1]]}, "2 input_ids, but 1 attention_mask"),
        ({"input_ids": [[5, 6, 7]], "attention_mask": [[1, 0, 1]]}, "gaps"),
        ({"input_ids": [[5, 6]], "attention_mask": [[0, 0]]}, "empty"),
        (CHAT, "single conversation"),
        (b"text", "single text"),
        ([b"text"], r"X\[0\] is neither a text nor"),
        ([[1.0, 2.0]], r"X\[0\] is neither"),
        (np.ones((2, 3)), r"X\[0\] is neither"),
        (np.array([1, 2]), r"X\[0\] is neither"),
        ([[True, False]], r"X\[0\] is neither"),
        ([["7", "8"]], r"X\[0\] is a list of 2 texts"),
        (np.array([["a"], ["b"]]), r"X\[0\] is a list of 1 texts"),
        ([float("nan")], r"X\[0\] is neither"),
        ({"a text", "another"}, "no order"),
        (7, "type int"),
    ],
)
def test_what_is_no_text_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        rows_of(X)


def test_padding_that_nothing_tells_from_text_is_refused():
    tokenizer = make_tokenizer()
    for X in (np.array([[5, 6, 7], [8, 0, 0]]), torch.tensor([[5, 6, 7], [0, 0, 8]]), [[5, 6, 0]]):
        with pytest.raises(ValueError, match=r"X\[.\] begins or ends with token 0, which is the padding"):
            tokens(X, tokenizer)
    with pytest.raises(ValueError, match="which is the padding"):
        tokens(np.array([[5, 6, 7], [8, 0, 0]]))
    assert tokens([[5, 6, 0]]) == tokens(np.array([[5, 6, 0]])) == [[5, 6, 0]]  # token 0 of a model without padding
    tokenizer.pad_token = "<eos>"
    assert tokens([[5, EOS]], tokenizer, pad=EOS) == [[5, EOS]]


def test_plain_texts_end_once_and_prompts_do_not():
    assert tokens(["w0", "w1 <eos>"], make_tokenizer(), append_eos=True) == [[W0, EOS], [W0 + 1, EOS]]
    assert tokens(["w0"], make_tokenizer()) == [[W0]]
    appending = make_tokenizer("$A <eos>")
    assert tokens(["w0"], appending, append_eos=True) == [[W0, EOS]]
    for tokenizer in (appending, make_tokenizer()):
        prompts = Tokenization(tokenizer, 61, 0, append_eos=True).prompts(["w0", "w0 <eos> w1"])
        assert [prompt.ids for prompt in prompts] == [[W0], [W0, EOS, W0 + 1]]
    assert tokens([[7, 8]], make_tokenizer(), append_eos=True) == [[7, 8]]
    without = make_tokenizer(eos_token=None)
    assert tokens(["w0"], without, append_eos=True) == [[W0]]


def test_conversations_go_through_the_chat_template():
    tokenizer = make_tokenizer("<bos> $A", template=TEMPLATE)
    ids = [BOS, USER, W0 + 1, W0 + 2, ASSISTANT, W0 + 3]
    rendered = tokenizer.apply_chat_template(CHAT, tokenize=False)
    for X in ([CHAT], [{"messages": CHAT}], {"messages": [CHAT]}, Dataset(messages=[CHAT])):
        assert tokens(X, tokenizer, append_eos=True) == [ids]
    assert tokens([rendered], tokenizer) == [ids]  # not with two beginnings
    assert tokens(["w0"], tokenizer) == [[BOS, W0]]
    (prompt,) = Tokenization(tokenizer, 61, 0).prompts([CHAT[:1]])
    assert prompt.ids == [BOS, USER, W0 + 1, W0 + 2, ASSISTANT]
    with pytest.raises(ValueError, match="no chat template"):
        tokens([CHAT], make_tokenizer())
    with pytest.raises(ValueError, match=r"X\[0\] does not fit the tokenizer's chat template"):
        tokens([CHAT], make_tokenizer(template="{{ raise_exception('no') }}"))


def test_truncation_keeps_what_ends_a_text():
    tokenizer = make_tokenizer("<bos> $A <eos>", pair="<bos> $A <eos> $B:1 <eos>:1")
    assert tokens(["w0 w1 w2 w3"], tokenizer, truncate=4) == [[BOS, W0, W0 + 1, EOS]]
    assert tokens([[7, 8, 9, EOS]], tokenizer, truncate=3) == [[7, 8, EOS]]
    assert tokens([[7, 8, 9, 10]], tokenizer, truncate=3) == [[7, 8, 9]]
    (pair,) = Tokenization(tokenizer, 61, 0).examples([("w0", "w1 w2")])
    assert pair.ids == [BOS, W0, EOS, W0 + 1, W0 + 2, EOS]


def test_no_token_of_a_long_text_is_lost():
    for length in range(2, 12):
        parts = pieces([Example(list(range(length)))], 4)
        predicted = [token for part in parts for token in part.ids[1:]]
        assert len(predicted) == len(set(predicted))
        assert set(range(1, length)) - set(predicted) <= {4, 8}  # the first of a piece has nothing before it
        assert length - 1 in predicted


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0.5, 1.5, 2.5], "continuous values, such as 0.5"),
        ([0.0, float("nan"), 1.0], r"y\[1\] is missing"),
        (["a", None, "b"], r"y\[1\] is missing"),
        (np.eye(3), "y has shape"),
        (["a", 1, "b"], "one kind|one class|a class"),
    ],
)
def test_labels_that_are_no_classes_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        encode_labels(np.array(y, dtype=object) if "a" in list(map(str, np.ravel(y))) else y, 3)


def test_a_column_of_labels_is_one_label_a_text():
    with pytest.warns(DataConversionWarning):
        classes, labels = encode_labels(np.array([["b"], ["a"], ["b"]]), 3)
    assert (classes.tolist(), labels.tolist()) == (["a", "b"], [1, 0, 1])
    assert encode_labels([0.0, 1.0, 0.0], 3)[1].tolist() == [0, 1, 0]


def test_labels_of_tokens():
    examples = [Example([5, 6, 7]), Example([8, 9])]
    found = with_token_labels(examples, [np.array([-100, 6, 7]), [-100, 9]], 61)
    assert [example.labels for example in found] == [[-100, 6, 7], [-100, 9]]
    for y in (
        ["good", "bad"],
        [0, 1],
        np.array([0.5, 1.0]),
        "text",
        [[1, 2, 3]],
        [[1, 2], [3, 4]],
        [[5, 6, 61], [8, 9]],
    ):
        with pytest.raises(ValueError, match=r"y for task='causal-lm' holds a label for every token"):
            with_token_labels(examples, y, 61)


def test_tags_say_what_the_task_is():
    model = torch.nn.Identity()
    classifier = HELoRAFineTuner(model, task="sequence-classification")
    assert is_classifier(classifier) and not is_classifier(HELoRAFineTuner(model))
    assert not is_regressor(classifier) and not is_regressor(HELoRAFineTuner(model))
    splits = check_cv(3, [0] * 6 + [1] * 6, classifier=is_classifier(classifier)).split(range(12), [0] * 6 + [1] * 6)
    assert all(sorted(np.array([0] * 6 + [1] * 6)[test]) == [0, 0, 1, 1] for _, test in splits)


def test_no_text_ends_with_the_padding_of_its_batch():
    batch = collate([Example([3, 0]), Example([1]), Example([4, 5, 0])], 0, causal=False)
    assert batch.pad == 2 and batch.input_ids.tolist() == [[3, 0, 2], [1, 2, 2], [4, 5, 0]]
    assert collate([Example([3]), Example([4, 5])], 0, causal=False).pad == 0
    assert collate([Example([3, 0]), Example([4])], 0, causal=True).pad == 0


@pytest.fixture(scope="module")
def classifier(llama, sequences, labels):
    tuner = HELoRAFineTuner(llama, task="sequence-classification", max_length=16, learning_rate=1e-2, max_steps=2)
    return tuner.fit(sequences, labels, fhe="disable")


def test_a_classifier_reads_the_last_token_of_a_text_that_ends_like_padding(classifier):
    texts = [[5, 6, 0], [7, 8, 9, 10, 11], [12, 0]]
    together = classifier.predict_proba(texts)
    alone = np.concatenate([classifier.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(together, alone, rtol=1e-4)
    with torch.no_grad():
        states = classifier.model_.base_model.model.model(torch.tensor([texts[0]])).last_hidden_state[0, -1]
        expected = classifier.model_.base_model.model.score(states).softmax(-1)
    np.testing.assert_allclose(together[0], expected, rtol=1e-4)


def test_a_column_of_labels_scores_as_a_row(classifier, sequences, labels):
    expected = classifier.score(sequences, labels)
    with pytest.warns(DataConversionWarning):
        assert classifier.score(sequences, labels[:, None]) == expected
    with pytest.raises(ValueError, match="y has shape"):
        classifier.score(sequences, labels[:-1])


def test_labels_of_tokens_train_and_score_as_a_plain_loop_does(llama, sequences):
    y = [[-100] * 8 + ids[8:] for ids in sequences]
    tuner = HELoRAFineTuner(llama, max_length=16, batch_size=24, learning_rate=1e-2, weight_quantizer="int16")
    tuner.fit(sequences, y, fhe="disable")
    with torch.no_grad():
        expected = float(llama(torch.tensor(sequences), labels=torch.tensor(y)).loss)
    assert tuner.history_[0]["loss"] == pytest.approx(expected, rel=1e-3)
    tuner.compile()
    assert tuner.score(sequences, y) == pytest.approx(-expected, rel=1e-3)
    in_columns = copy.copy(tuner).fit({"input_ids": sequences, "labels": y}, fhe="disable")
    assert in_columns.history_[0]["loss"] == pytest.approx(expected, rel=1e-3)
    with pytest.raises(ValueError, match="y for task='causal-lm'"):
        tuner.fit(sequences, ["good"] * 24, fhe="disable")


@pytest.mark.parametrize(("append", "form"), [(True, "$A"), (True, "$A <eos>"), (False, "$A")])
def test_generation_learns_to_stop(append, form):
    settings = {"epochs": 25, "batch_size": 4, "learning_rate": 5e-2, "max_length": 8, "append_eos": append}
    tuner = HELoRAFineTuner(make_model(), make_tokenizer(form), **settings)
    tuner.fit(["w1 w2 w3"] * 4, fhe="disable")
    assert (tuner.predict(["w1 w2 w3"])[0] == EOS) == append
    assert (tuner.generate(["w1 w2 w3"], max_new_tokens=3, eos_token_id=EOS) == [""]) == append
