"""The structure transformer: a sentence and what is pinned → a song plan, a LeadSheet in whole bars.

plan = Planner.from_pretrained("nano").plan("slow sad waltz", key="D minor", chords="i VII VI V", duration_seconds=60)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.planning.planner.constraints_from_arguments import PlanArguments, Sections, request_from_arguments
from musetune.planning.planner.constraints_from_sheet import request_from_sheet
from musetune.symbols.expression import check_feature
from musetune.symbols.remarks import remark
from musetune.theory.harmony.complexity import progression_complexity
from musetune.theory.numerals.context import romans

if TYPE_CHECKING:
    from musetune.planning.planner.constraints import PlanConstraints
    from musetune.planning.planner.language import Plan
    from musetune.symbols import Chord, Key, LeadSheet, Meter

LORA_CONFIG = "adapter_config.json"
NANO = Path(__file__).parent / "weights"
MOST_WORDS = 20_000  # more than any grammar lets a model write
# of what may come next the likeliest words that make up so much (nucleus sampling, arXiv 1904.09751): a digit is rarely
# slipped
TOP_P = 0.9
DRAWS = 16  # songs that one of a wanted complexity is chosen from


class Planner:
    """The structure transformer: writes a lead sheet after a sentence and what is pinned.

    Args:
        model: A T5 of transformers that writes the plan language.
        tokenizer: Its tokenizer.

    Example:
        >>> planner = Planner.from_pretrained("nano")
        >>> sheet = planner.plan("slow sad waltz", key="D minor", chords="i VII VI V", bars=8)
        >>> str(sheet.key), sheet.length // sheet.meter.beats_per_bar
        ('D minor', 8)
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        from musetune.planning.planner.tokenizer import plan_ids

        self.model, self.tokenizer = model.eval(), tokenizer
        self.ids = plan_ids(tokenizer)

    @staticmethod
    def from_pretrained(name: str | Path = "nano", **hub: Any) -> Planner:
        """Load a planner.

        Args:
            name: "nano", which is shipped, a folder, or a Hub id. A folder that recipes/planner/train.py made with
                ``base=`` holds a LoRA: its base is loaded and the LoRA merged into it.
            hub: What transformers' from_pretrained takes: revision, token, ….

        Returns:
            The planner, in evaluation mode on the CPU.

        Raises:
            ValueError: The tokenizer lacks the words of the plan language; a config asks for more than its weights
                hold; the weights hold NaN or infinity.
            OSError: The name is none of these.
        """
        import torch
        from transformers import AutoTokenizer

        where = str(NANO) if str(name) == "nano" else str(name)
        with torch.random.fork_rng(devices=[]):  # loading draws random numbers; the caller's generator is left alone
            lora = _cached(where, LORA_CONFIG, hub) is not None
            model = None if lora else _load_t5(where, hub)
            _check_network(where, hub)  # what a LoRA's folder says of a tokenizer
            tokenizer = AutoTokenizer.from_pretrained(where, **hub)
            return Planner(_load_lora(where, tokenizer, hub) if model is None else model, tokenizer)

    def plan(
        self,
        prompt: str,
        *,
        key: str | Key | None = None,
        bpm: float | None = None,
        time_signature: str | Meter | None = None,
        genre: str | None = None,
        chords: str | Sequence[str | Chord] | None = None,
        sections: Sections | None = None,
        bars: int | None = None,
        duration_seconds: float | None = None,
        sheet: LeadSheet | None = None,
        seed: int = 0,
        temperature: float = 0.9,
        style: str | None = None,
        styles: str | PathLike | None = None,
        harmonic_complexity: float | None = None,
    ) -> LeadSheet:
        """Write a song after a prompt; what is pinned is kept exactly, the rest is written.

        Args:
            prompt: A sentence such as "slow sad waltz", at most 5000 characters.
            key: Such as "D minor".
            bpm: 30–300 beats a minute, in 6/8 dotted quarters.
            time_signature: Such as "6/8".
            genre: One of `musetune.symbols.GENRES`.
            chords: A progression or chart in any notation (Roman, Nashville, pop, Harte), for the first section,
                again and again, cut where it ends; absolute chords also choose the key. Where neither they nor a sheet
                are given, those that the prompt writes out are taken: "a song with Am F C G".
            sections: "AABA", "verse chorus verse" or [("verse", 8), ("chorus", 8)]; a label that comes back has the
                same bars. Where `bars` or `duration_seconds` ask for more than these lengths, the song goes on
                freely.
            bars: 1–512.
            duration_seconds: Up to 999, rounded to whole bars; not beside `bars`.
            sheet: A lead sheet to go on from. Its chords, keys, sections and tempo stay; bars without any chord are
                written, and bars beyond its end where more are asked for; `key` transposes it, `bpm` and `genre`
                replace its own.
            seed: An equal seed gives an equal plan.
            temperature: 0–10; 0 takes the likeliest word each time, 1 draws as the model thinks, more is wilder.
            style: Name of a style of docs/reference/styles.md, or several parted by commas, that goes before those
                that the prompt names; pins go before it.
            styles: A YAML file of styles that go before those of the package (docs/reference/styles.md).
            harmonic_complexity: 0–1, of `musetune.theory.harmony.complexity.progression_complexity`: of `DRAWS` songs
                that are written side by side, the one that comes nearest. How far it can go depends on the words:
                eight songs of "happy pop song" had 0.17 to 0.24, of "warm jazz trio" 0.47 to 0.58.

        Returns:
            The song in whole bars. Where a prompt words both a form and seconds that no whole phrases fill, a remark
            (`musetune.symbols.remarks`) says how long it is instead.

        Raises:
            ValueError: An argument cannot be, or two contradict each other.
            FileNotFoundError: There is no such file of styles.
        """
        from musetune.planning.planner.chord_words import chords_in
        from musetune.planning.planner.prompt_text import check_prompt
        from musetune.planning.planner.song_styles import check_styles

        if chords is None and sheet is None:
            chords = chords_in(check_prompt(prompt))
        arguments = PlanArguments(key, bpm, time_signature, genre, chords, sections, bars, duration_seconds)
        request = request_from_arguments(arguments) if sheet is None else request_from_sheet(sheet, arguments)
        pins = request.pins if style is None else replace(request.pins, style=check_styles(style, styles))
        if harmonic_complexity is not None:
            check_feature("harmonic_complexity", harmonic_complexity)
        draws = 1 if harmonic_complexity is None else DRAWS
        written = self.write([prompt] * draws, [pins] * draws, seed=seed, temperature=temperature, styles=styles)
        songs = [request.finish(one) for one in written]
        best = 0 if harmonic_complexity is None else _nearest(songs, harmonic_complexity)
        _remark_length(written[best])
        return songs[best]

    def write(
        self,
        prompts: Sequence[str],
        pins: Sequence[PlanConstraints],
        *,
        seed: int = 0,
        temperature: float = 0.9,
        styles: str | PathLike | None = None,
    ) -> list[Plan]:
        """A plan for each prompt under its pins, and what its everyday words mean, written side by side.

        ``styles``: a YAML file of styles that go before those of the package.
        """
        import torch

        from musetune.planning.planner.altered_chords import with_altered_chords
        from musetune.planning.planner.constrained_decoding import PlanGrammar
        from musetune.planning.planner.grammar import parse
        from musetune.planning.planner.prompt_constraints import narrow
        from musetune.planning.planner.prompt_text import check_prompt
        from musetune.planning.planner.tokenizer import read_prompts
        from musetune.planning.planner.vocabulary import END

        if not 0 <= temperature <= 10:
            raise ValueError(
                f"temperature={temperature} is outside 0–10: 0 is the likeliest plan, 1 what the model thinks"
            )
        read = read_prompts(self.tokenizer, [check_prompt(prompt) for prompt in prompts]).to(self.model.device)
        draws = seed if temperature else "likeliest"
        pins = [
            narrow(one, prompt, f"{draws}:{row}", styles)
            for row, (one, prompt) in enumerate(zip(pins, prompts, strict=True))
        ]
        grammar = PlanGrammar(pins, self.ids, self.model.config.vocab_size)
        drawing = (
            {"do_sample": True, "temperature": float(temperature), "top_k": 0, "top_p": TOP_P}
            if temperature
            else {"do_sample": False}
        )
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(_seed_of(seed, prompts))
            out = self.model.generate(
                input_ids=read.input_ids,
                attention_mask=read.attention_mask,
                logits_processor=[grammar],
                max_new_tokens=MOST_WORDS,
                num_beams=1,
                pad_token_id=self.tokenizer.pad_token_id,
                eos_token_id=self.tokenizer.eos_token_id,
                **drawing,
            )
        words = [[grammar.word_of_token.get(token, END) for token in row] for row in out[:, 1:].tolist()]
        return [with_altered_chords(parse(row, one), one) for row, one in zip(words, pins, strict=True)]


def _nearest(songs: Sequence[LeadSheet], complexity: float) -> int:
    """Which song's harmonic complexity is nearest; the first of those that are equally near."""
    away = [abs((progression_complexity(song, romans(song)) or 0.0) - complexity) for song in songs]
    return away.index(min(away))


def _remark_length(plan: Plan) -> None:
    """Say where whole phrases make a song longer or shorter than the seconds that were asked for."""
    from musetune.planning.planner.language import bars_in

    kind, count = plan.length
    wanted = bars_in(count, plan.bpm, plan.meter) if kind == "seconds" else plan.bars
    if plan.bars != wanted:
        seconds = plan.bars * plan.meter.beats_per_bar * 60 / plan.bpm
        remark(
            f"{count} seconds are {wanted} bars at {plan.bpm:g} bpm, which no whole phrases of these sections fill: "
            f"the song has {plan.bars} bars, {seconds:.4g} seconds; give another tempo, or sections with their bars"
        )


def _seed_of(seed: int, prompts: Sequence[str]) -> int:
    """A seed for torch: equal seeds of other prompts draw otherwise, keys above all."""
    digest = hashlib.sha256("\0".join([str(seed), *prompts]).encode()).digest()
    return int.from_bytes(digest[:7], "big")


def _cached(where: str, file: str, hub: dict[str, Any]) -> Path | None:
    """A file of a folder or a Hub id on this machine, None where there is none."""
    from transformers.utils import cached_file

    path = cached_file(where, file, _raise_exceptions_for_missing_entries=False, **hub)
    return None if path is None else Path(path)


def _check_network(where: str, hub: dict[str, Any]) -> None:
    """Check the configs of a T5's folder or Hub id before it is built; of weights only the header is read.

    Raises ValueError for sizes that the weights do not have, and for an index that names a pickle.
    """
    from musetune.models.config_limits import CONFIGS, check_configs
    from musetune.models.weight_checks import check_weight_indices

    files = ("model.safetensors", "model.safetensors.index.json", *CONFIGS)
    paths = [path for path in (_cached(where, file, hub) for file in files) if path is not None]
    for folder in {path.parent for path in paths}:
        check_weight_indices(folder)
        check_configs(folder, "transformers", "T5ForConditionalGeneration")


def _load_t5(where: str, hub: dict[str, Any]) -> Any:
    """A T5 in float32 from safetensors, checked before it is built and after."""
    import torch
    from transformers import T5ForConditionalGeneration

    from musetune.models.weight_checks import check_finite

    _check_network(where, hub)
    model = T5ForConditionalGeneration.from_pretrained(where, dtype=torch.float32, use_safetensors=True, **hub)
    check_finite(f"the planner {where}", model.state_dict())
    return model


def _load_lora(where: str, tokenizer: Any, hub: dict[str, Any]) -> Any:
    """The base that a LoRA names, with the LoRA in its weights.

    Raises ValueError for a LoRA of another kind, without safetensors, or of a higher rank than its weights have.
    """
    import warnings

    from peft import PeftModel

    from musetune.models.lora_config import check_lora_rank, read_lora_config
    from musetune.models.weight_checks import check_finite
    from musetune.planning.planner.tokenizer import resize_embeddings

    config, weights = (_cached(where, file, hub) for file in (LORA_CONFIG, "adapter_model.safetensors"))
    if config is None or weights is None:
        raise ValueError(f"{where} has no adapter_model.safetensors: only safetensors are read; convert the weights")
    settings = read_lora_config(config.parent)
    check_lora_rank(settings, weights)
    base = settings.get("base_model_name_or_path")
    if not isinstance(base, str):
        raise ValueError(f"{config} says base_model_name_or_path={base!r}: name the T5 that the LoRA was trained on")
    model = _load_t5(base, {})
    resize_embeddings(model, tokenizer)
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5 for a property by its old name
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        merged = PeftModel.from_pretrained(model, where, **hub).merge_and_unload()
    check_finite(f"the planner {where}", merged.state_dict())
    return merged


@lru_cache(maxsize=1)
def _nano() -> Planner:
    return Planner.from_pretrained("nano")


def plan(prompt: str, **pins: Any) -> LeadSheet:
    """Write a song's plan with the planner in the package, which is loaded once.

    Args:
        prompt: A sentence such as "slow sad waltz", at most 5000 characters.
        **pins: What is kept exactly, as of `Planner.plan`: key, bpm, time_signature, genre, chords, sections, bars,
            duration_seconds (s), sheet; and seed, temperature, style, styles and harmonic_complexity.

    Returns:
        The song in whole bars.

    Raises:
        ValueError: An argument cannot be, or two contradict each other.

    Example:
        >>> sheet = plan("a slow blues", key="A", time_signature="12/8", bars=12)
        >>> str(sheet.key), str(sheet.meter), len(sheet.downbeats())
        ('A major', '12/8', 12)
    """
    return _nano().plan(prompt, **pins)
