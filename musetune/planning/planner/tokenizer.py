"""The tokenizer of prompts and plans.

Byte-level BPE for words, one token for each digit and each word of the plan language.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from musetune.planning.planner.prompt_text import normalise, shared_words
from musetune.planning.planner.vocabulary import TOKENS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

LONGEST_PROMPT = 96  # tokens; the rest is not read


def train_tokenizer(prompts: Iterable[str], vocab_size: int = 1000) -> PreTrainedTokenizerFast:
    """A tokenizer for ``prompts``, bytes for what they do not have, and the plan's words after its ``vocab_size``
    pieces.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<pad>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((normalise(prompt).lower() for prompt in prompts), trainer)
    end = ("</s>", tokenizer.token_to_id("</s>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[end]
    )
    trained = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", model_max_length=LONGEST_PROMPT
    )
    add_plan_words(trained)
    return trained


def add_plan_words(tokenizer: Any) -> int:
    """Give ``tokenizer`` the words of the plan language that it lacks; how many."""
    from tokenizers import AddedToken

    words = [
        AddedToken(token, lstrip=True, normalized=False, special=True) for token in TOKENS
    ]  # spaces before them say nothing
    return int(tokenizer.add_tokens(words, special_tokens=True))


def resize_embeddings(model: Any, tokenizer: Any) -> None:
    """Give a T5 an embedding for each word of ``tokenizer``.

    A head of its own, as flan-t5 has, stays one: transformers 5 would tie it.
    """
    model.config.tie_word_embeddings = model.lm_head.weight is model.shared.weight
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)


def plan_ids(tokenizer: Any) -> list[int]:
    """The token ids of ``vocabulary.TOKENS`` in order, then that of the end.

    Raises ValueError for a tokenizer without them.
    """
    ids = tokenizer.convert_tokens_to_ids(list(TOKENS))
    vocabulary = tokenizer.get_vocab()
    if lacking := [token for token in TOKENS if token not in vocabulary]:
        raise ValueError(
            f"the tokenizer lacks {len(lacking)} words of the plan language, {lacking[0]} for one: train it with "
            f"recipes/planner/train.py"
        )
    return [*ids, tokenizer.eos_token_id]


def read_prompts(tokenizer: Any, prompts: Sequence[str]) -> Any:
    """``input_ids`` and ``attention_mask`` (prompts, tokens) of prompts as ``normalise`` and ``shared_words`` spell
    them.

    They are cut at LONGEST_PROMPT tokens.
    """
    plain = [shared_words(normalise(prompt)) for prompt in prompts]
    return tokenizer(plain, return_tensors="pt", padding=True, truncation=True, max_length=LONGEST_PROMPT)
