"""Prompts with completions, and conversations of which only the answers are learned: the data formats of trl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .examples import IGNORED_LABEL, Example

_PAIR = ("prompt", "completion")


def answer_examples(
    X: Any, tokenizer: Any, vocabulary_size: int, *, completion_only: bool | None, assistant_only: bool
) -> list[Example] | None:
    """Examples of prompts with completions, or of conversations if ``assistant_only``; None if ``X`` is neither.

    Parameters
    ----------
    X : sequence of dict, dict of columns, DataFrame or Dataset
        With ``"prompt"`` and ``"completion"``, each a text or a list of messages; or with ``"messages"``, or a
        sequence of lists of messages.
    tokenizer : tokenizer or None
    vocabulary_size : int
    completion_only : bool or None
        Whether prompts are left out of the loss; None does so.
    assistant_only : bool
        Whether everything but the assistant's messages is left out of the loss of conversations.

    Raises
    ------
    ValueError
        If there is no tokenizer, nothing to learn in a row, or a chat template that hides where answers begin.
    """
    rows = _records(X, _PAIR)
    if rows is not None:
        read = Answers(tokenizer, vocabulary_size)
        return [read.of_pair(number, row, completion_only is not False) for number, row in enumerate(rows)]
    if not assistant_only:
        return None
    rows = _records(X, ("messages",))
    talks = [row["messages"] for row in rows] if rows is not None else X
    if not _is_conversations(talks):
        raise ValueError(
            "assistant_only_loss=True needs conversations: lists of messages, or a column of them named 'messages'."
        )
    read = Answers(tokenizer, vocabulary_size)
    return [read.of_conversation(number, list(messages)) for number, messages in enumerate(talks)]


def _records(X: Any, names: Sequence[str]) -> list[dict[str, Any]] | None:
    """Rows of what has columns of these names, as dicts; None if it has not."""
    if isinstance(X, Mapping) or hasattr(X, "column_names") or hasattr(X, "columns"):
        columns = list(X) if isinstance(X, Mapping) else list(getattr(X, "column_names", None) or X.columns)
        if not set(names) <= set(columns):
            return None
        return [dict(zip(names, row, strict=True)) for row in zip(*(list(X[name]) for name in names), strict=True)]
    if not isinstance(X, (list, tuple)) or not X or not all(isinstance(row, Mapping) for row in X):
        return None
    has = [set(names) <= set(row) for row in X]
    if any(has) and not all(has):
        raise ValueError(f"X[{has.index(False)}] lacks {' or '.join(names)}, which other rows have.")
    return [dict(row) for row in X] if all(has) else None


def _is_messages(value: Any) -> bool:
    value = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(value, (list, tuple)) or not value:
        return False
    return all(isinstance(message, Mapping) and "role" in message for message in value)


def _is_conversations(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_messages, value))


class Answers:
    """Tokens and labels of rows with answers."""

    def __init__(self, tokenizer: Any, vocabulary_size: int):
        if tokenizer is None:
            raise ValueError("X holds texts, but there is no tokenizer: pass tokenizer=, or sequences of token ids.")
        self.tokenizer = tokenizer
        self.vocabulary_size = vocabulary_size

    def of_pair(self, number: int, row: Mapping[str, Any], masks_prompt: bool) -> Example:
        """A prompt and its completion, both texts or both messages; texts end with the end of sequence."""
        prompt, completion = (row[name] for name in _PAIR)
        if isinstance(prompt, str) and isinstance(completion, str):
            before, ids = self._ids(prompt), self._ids(prompt + completion)
            eos = getattr(self.tokenizer, "eos_token_id", None)
            if eos is not None and ids[-1:] != [eos]:
                ids = [*ids, eos]
            ids, before = list(ids), before[: _common(before, ids)]
        elif _is_messages(prompt) and _is_messages(completion):
            asked = self._rendered(number, prompt, asks=True)
            whole = self._rendered(number, [*prompt, *completion])
            _check_prefix(number, asked, whole)
            ids = self._ids(whole, add_special_tokens=False)
            before = ids[: _common(self._ids(asked, add_special_tokens=False), ids)]
        else:
            raise ValueError(f"X[{number}] needs prompt and completion that are both texts, or both lists of messages.")
        return self._example(number, ids, [(len(before), len(ids))] if masks_prompt else [(0, len(ids))])

    def of_conversation(self, number: int, messages: list[Any]) -> Example:
        """A conversation of which the assistant's messages are learned."""
        template = getattr(self.tokenizer, "chat_template", None)
        if template is not None and "generation %}" in str(template):
            return self._of_marked(number, messages)
        whole = self._rendered(number, messages)
        ids, answers = self._ids(whole, add_special_tokens=False), []
        for place, message in enumerate(messages):
            if message["role"] == "assistant":
                before = self._rendered(number, messages[:place], asks=True) if place else ""
                after = self._rendered(number, messages[: place + 1])
                for text in (before, after):
                    _check_prefix(number, text, whole)
                ends = [_common(self._ids(text, add_special_tokens=False), ids) for text in (before, after)]
                answers.append((ends[0], ends[1]))
        return self._example(number, ids, answers)

    def _of_marked(self, number: int, messages: list[Any]) -> Example:
        """By the marks of the chat template itself."""
        found = self.tokenizer.apply_chat_template(
            messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        mask = found["assistant_masks"]
        return self._example(number, list(found["input_ids"]), [(n, n + 1) for n, marked in enumerate(mask) if marked])

    def _example(self, number: int, ids: list[int], answers: Sequence[tuple[int, int]]) -> Example:
        bad = [token for token in ids if not 0 <= token < self.vocabulary_size]
        if bad:
            raise ValueError(
                f"X[{number}] has token id {bad[0]}, but the model's vocabulary has {self.vocabulary_size} tokens."
            )
        labels = [IGNORED_LABEL] * len(ids)
        for start, end in answers:
            labels[start:end] = ids[start:end]
        example = Example(ids, labels)
        if not example.n_predictions:
            raise ValueError(f"X[{number}] has no answer to learn: it needs a completion, or an assistant's message.")
        return example

    def _ids(self, text: str, **options: Any) -> list[int]:
        return list(self.tokenizer(text, verbose=False, **options)["input_ids"])

    def _rendered(self, number: int, messages: Sequence[Any], *, asks: bool = False) -> str:
        if not getattr(self.tokenizer, "chat_template", None):
            raise ValueError(
                f"X[{number}] is a list of messages, but the tokenizer has no chat template: set "
                "tokenizer.chat_template, or pass texts."
            )
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    [dict(message) for message in messages], tokenize=False, add_generation_prompt=asks
                )
            )
        except Exception as error:  # templates raise whatever they like on roles and orders that they do not know
            raise ValueError(f"X[{number}] does not fit the tokenizer's chat template: {error}") from error


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Tokens that two sequences begin with."""
    same = (a == b for a, b in zip(first, second, strict=False))
    return next((n for n, equal in enumerate(same) if not equal), min(len(first), len(second)))


def _check_prefix(number: int, start: str, whole: str) -> None:
    if not whole.startswith(start):
        raise ValueError(
            f"X[{number}]: the tokenizer's chat template writes the beginning of a conversation differently when it "
            "goes on, so that answers cannot be told from the rest: mark them in it with {% generation %}."
        )
