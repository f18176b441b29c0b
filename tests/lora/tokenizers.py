"""A tokenizer of words, with special tokens where a test wants them."""

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

WORDS = ["<pad>", "<bos>", "<eos>", "<unk>", "user", "assistant", *(f"w{number}" for number in range(55))]
TEMPLATE = (
    "{{ bos_token }} {% for message in messages %}{{ message['role'] }} {{ message['content'] }} {% endfor %}"
    "{% if add_generation_prompt %}assistant{% endif %}"
)


def make_tokenizer(form="$A", *, pair="$A $B", template=None, **special):
    """``form`` says what is put around a text, such as ``"<bos> $A <eos>"``."""
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, "<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(
        single=form, pair=pair, special_tokens=[(word, WORDS.index(word)) for word in ("<bos>", "<eos>")]
    )
    names = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", **special}
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    made.chat_template = template
    return made
