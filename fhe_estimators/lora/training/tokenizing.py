"""Rows as examples: what a tokenizer adds, or must not add, at the ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .examples import IGNORED_LABEL, Example
from .inputs import Row, rows_of


@dataclass(frozen=True)
class Tokenization:
    """How rows become tokens.

    Parameters
    ----------
    tokenizer : tokenizer or None
    vocabulary_size : int
    pad : int
        The token for padding.
    append_eos : bool
        Plain texts end with the end-of-sequence token.
    truncate : int or None
        Texts are cut to so many tokens, their final special tokens kept; None for not at all.
    """

    tokenizer: Any
    vocabulary_size: int
    pad: int
    append_eos: bool = False
    truncate: int | None = None

    def examples(self, X: Any) -> list[Example]:
        """An example of each row.

        Raises
        ------
        ValueError
            For empty texts, ids out of range, padding without an attention mask, or texts without a tokenizer.
        """
        return [self._example(row, continues=False) for row in rows_of(X)]

    def prompts(self, X: Any) -> list[Example]:
        """Examples that are to go on: without an end of sequence, conversations with the answer's beginning."""
        return [self._example(row, continues=True) for row in rows_of(X)]

    def _example(self, row: Row, *, continues: bool) -> Example:
        value = row.value
        if isinstance(value, (str, tuple)) or (value and isinstance(value[0], dict)):
            if self.tokenizer is None:
                raise ValueError(
                    "X holds texts, but there is no tokenizer: pass tokenizer=, or sequences of token ids."
                )
            example = self._encode(row, continues=continues)
        else:
            self._refuse_padding(row)
            example = self._cut(Example(value, row.labels, row.token_types))
        if not example.ids:
            raise ValueError(f"X[{row.number}] is empty: every text needs at least one token.")
        self._check(row.number, example)
        return example

    def _encode(self, row: Row, *, continues: bool) -> Example:
        if isinstance(row.value, list):
            return Example(self._ids(self._rendered(row, continues=continues), add_special_tokens=False))
        if isinstance(row.value, tuple):
            found = self.tokenizer(*row.value, **self._options())
            types = found.get("token_type_ids")
            return Example(list(found["input_ids"]), token_types=None if types is None else list(types))
        text, eos = row.value, getattr(self.tokenizer, "eos_token_id", None)
        if not text:
            raise ValueError(f"X[{row.number}] is empty: every text needs at least one token.")
        ids = self._without_second_bos(text, self._ids(text))
        if eos is not None and ids:
            if continues and ids[-1] == eos and not text.endswith(self.tokenizer.eos_token):
                ids = ids[:-1]
            elif not continues and self.append_eos and ids[-1] != eos:
                ids = [*ids, eos]
        return Example(ids)

    def _ids(self, text: str, **options: Any) -> list[int]:
        return list(self.tokenizer(text, **self._options(), **options)["input_ids"])

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"verbose": False}  # texts longer than the model's positions are cut into pieces
        return options if self.truncate is None else {**options, "truncation": True, "max_length": self.truncate}

    def _without_second_bos(self, text: str, ids: list[int]) -> list[int]:
        """Chat templates write the beginning of sequence themselves, and tokenizers put another one before it."""
        bos = getattr(self.tokenizer, "bos_token_id", None)
        twice = bos is not None and ids[:2] == [bos, bos] and text.startswith(self.tokenizer.bos_token)
        return ids[1:] if twice and not text.startswith(2 * self.tokenizer.bos_token) else ids

    def _rendered(self, row: Row, *, continues: bool) -> str:
        if not getattr(self.tokenizer, "chat_template", None):
            raise ValueError(
                f"X[{row.number}] is a list of messages, but the tokenizer has no chat template: set "
                "tokenizer.chat_template, or pass texts."
            )
        asks = continues and row.value[-1]["role"] != "assistant"
        try:
            return str(self.tokenizer.apply_chat_template(row.value, tokenize=False, add_generation_prompt=asks))
        except Exception as error:  # templates raise whatever they like on roles and orders that they do not know
            raise ValueError(f"X[{row.number}] does not fit the tokenizer's chat template: {error}") from error

    def _cut(self, example: Example) -> Example:
        """Token ids cut as a tokenizer cuts texts: the special token at the end stays."""
        if self.truncate is None or len(example) <= self.truncate:
            return example
        ends = {getattr(self.tokenizer, name, None) for name in ("eos_token_id", "sep_token_id")} - {None}
        head = example.cut(slice(self.truncate))
        if example.ids[-1] not in ends:
            return head
        return Example([*head.ids[:-1], example.ids[-1]], None, head.token_types)

    def _refuse_padding(self, row: Row) -> None:
        """Padding that nothing tells from text would be trained on."""
        ids: list[int] = row.value
        declared = getattr(self.tokenizer, "pad_token_id", None)
        is_its_own = declared is not None and declared != getattr(self.tokenizer, "eos_token_id", None)
        least = 1 if is_its_own else 2
        suspected = row.is_padded or is_its_own
        ends = (ids[:least], ids[len(ids) - least :])
        if suspected and row.labels is None and len(ids) > least and [self.pad] * least in ends:
            raise ValueError(
                f"X[{row.number}] begins or ends with token {self.pad}, which is the padding: pass the tokenizer's "
                "output with its attention_mask, or lists of token ids without padding."
            )

    def _check(self, number: int, example: Example) -> None:
        size = self.vocabulary_size
        bad = [token for token in example.ids if not 0 <= token < size]
        if bad:
            raise ValueError(f"X[{number}] has token id {bad[0]}, but the model's vocabulary has {size} tokens.")
        bad = [label for label in example.labels or [] if not 0 <= label < size and label != IGNORED_LABEL]
        if bad:
            raise ValueError(
                f"X[{number}] has label {bad[0]}, but labels of tokens are token ids of the model's {size}, or "
                f"{IGNORED_LABEL} where nothing is to be learned."
            )
