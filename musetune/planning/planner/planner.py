"""The structure transformer: a sentence and what is pinned → a song plan, a LeadSheet in whole bars.

plan = Planner.from_pretrained("nano").plan("slow sad waltz", key="D minor", chords="i VII VI V", duration_seconds=60)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.planning.planner.continuation import constraints_from_sheet
from musetune.planning.planner.request import Asked, Sections, request

if TYPE_CHECKING:
    from musetune.planning.planner.language import Plan
    from musetune.planning.planner.pins import Pins
    from musetune.symbols import Chord, Key, LeadSheet, Meter

NANO = Path(__file__).parent / "weights"
MOST_WORDS = 20_000  # more than any grammar lets a model write
# of what may come next the likeliest words that make up so much (nucleus sampling, arXiv 1904.09751): a digit is rarely
# slipped
TOP_P = 0.9


class Planner:
    """A T5 and its tokenizer; see ``from_pretrained``."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        from musetune.planning.planner.tokenizer import plan_ids

        self.model, self.tokenizer = model.eval(), tokenizer
        self.ids = plan_ids(tokenizer)

    @staticmethod
    def from_pretrained(name: str | Path = "nano", **hub: Any) -> Planner:
        """ "nano" (in the package), a folder or a Hub id; ``hub``.

        What transformers' from_pretrained takes (revision, token, …).

        A folder that recipes/planner/train.py made with ``base=`` holds a LoRA: its base is loaded and the LoRA merged
        into it. Raises ValueError for a tokenizer without the words of the plan language, OSError for a folder that is
        none of these.
        """
        import torch
        from transformers import AutoTokenizer, T5ForConditionalGeneration

        where = str(NANO) if str(name) == "nano" else str(name)
        tokenizer = AutoTokenizer.from_pretrained(where, **hub)
        with torch.random.fork_rng(devices=[]):  # loading draws random numbers; the caller's generator is left alone
            if not _is_lora(where, hub):
                return Planner(T5ForConditionalGeneration.from_pretrained(where, dtype=torch.float32, **hub), tokenizer)
            return Planner(_merged(where, tokenizer, hub), tokenizer)

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
    ) -> LeadSheet:
        """A song after ``prompt``; what is given is kept exactly, the rest is written.

        key: such as "D minor". bpm: 30–300 beats a minute (in 6/8 dotted quarters). time_signature: such as "6/8".
        genre: one of theory.GENRES. chords: a progression or chart in any notation (Roman, Nashville, pop, Harte); it
        fills the first section, again and again, and is cut where it ends; absolute chords also choose the key.
        sections: "AABA", "verse chorus verse" or [("verse", 8), ("chorus", 8)]; a label that comes back has the same
        bars. Where bars or duration_seconds ask for more than the lengths given, the song goes on freely. bars 1–512 or
        duration_seconds up to 999 (rounded to whole bars), not both. sheet: a plan to go on from. All of its chords,
        keys, sections, tempo stay; bars without any chord are written, and bars beyond its end where ``bars`` or
        ``duration_seconds`` ask for more; key= transposes it, bpm= and genre= replace its own. temperature: 0 takes the
        likeliest word each time, 1 draws as the model thinks, more is wilder. The same seed, the same plan. Raises
        ValueError for what cannot be, or for pins that contradict each other.
        """
        told = Asked(key, bpm, time_signature, genre, chords, sections, bars, duration_seconds)
        wanted = request(told) if sheet is None else constraints_from_sheet(sheet, told)
        return wanted.finish(self.write([prompt], [wanted.pins], seed=seed, temperature=temperature)[0])

    def write(
        self, prompts: Sequence[str], pins: Sequence[Pins], *, seed: int = 0, temperature: float = 0.9
    ) -> list[Plan]:
        """A plan for each prompt under its pins, written side by side."""
        import torch

        from musetune.planning.planner.decode import PlanGrammar
        from musetune.planning.planner.grammar import parse
        from musetune.planning.planner.tokenizer import read_prompts
        from musetune.planning.planner.vocabulary import END

        if not 0 <= temperature <= 10:
            raise ValueError(
                f"temperature={temperature} is outside 0–10: 0 is the likeliest plan, 1 what the model thinks"
            )
        read = read_prompts(self.tokenizer, prompts).to(self.model.device)
        grammar = PlanGrammar(pins, self.ids, self.model.config.vocab_size)
        drawing = (
            {"do_sample": True, "temperature": float(temperature), "top_k": 0, "top_p": TOP_P}
            if temperature
            else {"do_sample": False}
        )
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed)
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
        words = [[grammar.place.get(token, END) for token in row] for row in out[:, 1:].tolist()]
        return [parse(row, one) for row, one in zip(words, pins, strict=True)]


def _is_lora(where: str, hub: dict[str, Any]) -> bool:
    """Whether a folder or a Hub id holds an adapter of peft."""
    from peft.utils import CONFIG_NAME
    from transformers.utils import cached_file

    found = cached_file(where, CONFIG_NAME, _raise_exceptions_for_missing_entries=False, **hub)
    return found is not None


def _merged(where: str, tokenizer: Any, hub: dict[str, Any]) -> Any:
    """The base that a LoRA names, with the LoRA in its weights."""
    import warnings

    import torch
    from peft import PeftConfig, PeftModel
    from transformers import T5ForConditionalGeneration

    from musetune.planning.planner.tokenizer import resize_embeddings

    base = PeftConfig.from_pretrained(where, **hub).base_model_name_or_path
    model = T5ForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    resize_embeddings(model, tokenizer)
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5 for a property by its old name
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        return PeftModel.from_pretrained(model, where, **hub).merge_and_unload()


@lru_cache(maxsize=1)
def _nano() -> Planner:
    return Planner.from_pretrained("nano")


def plan(prompt: str, **pins: Any) -> LeadSheet:
    """``Planner.plan`` of the planner in the package, which is loaded once."""
    return _nano().plan(prompt, **pins)
