"""What a call asks for, checked once before anything is loaded or computed. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from musetune.pipeline.checks import check_positive, given_arguments, one_a_prompt, or_default, reject_arguments
from musetune.symbols import Arrangement, Chord, LeadSheet
from musetune.symbols.expression import Expression
from musetune.symbols.remarks import remark

if TYPE_CHECKING:
    from musetune.adapter import MusicAdapter
    from musetune.adapter.metadata import AdapterMetadata
    from musetune.adapter.sampling import Sampling
    from musetune.pipeline.condition_mask import ConditionMask
    from musetune.pipeline.guidance import Guidance, Interval
    from musetune.pipeline.style import StyleReference

# The defaults (benchmarks/guidance.py, development sheets): 2 and 4 obey as well within the intervals; equal scales
# need two passes a step, others three
MUSIC_GUIDANCE = 3.0
TEXT_GUIDANCE = 3.0
# Of all three scales where there are notes: pushed harder, melodies gain and drums lose their colours
# (benchmarks/README.md)
PLAYED_GUIDANCE = 2.5
GUIDANCE_RESCALE = 0.8  # without it the Fréchet distance doubles
STEPS_WITH_MUSIC = 20
UNGUIDED = 1.0  # a LoRA of few steps was distilled from the guided model: it needs one pass
# Of nano's clips without expression. A branch that is told of swing alone would play as loud as its training's mean
PLAIN_LUFS = -20.0
NEEDS_MUSIC = "needs music: give harmonic_progression='I V vi IV' or a lead_sheet"


def default_passes() -> int:
    """Return how many rows of the U-Net a step of a call has for one waveform, where words and music are pushed by the
    defaults: as equal scales need them.

    Example:
        >>> default_passes()
        2
    """
    from musetune.pipeline.guidance import Guidance, passes

    return len(passes(Guidance(TEXT_GUIDANCE, MUSIC_GUIDANCE).at(0, STEPS_WITH_MUSIC)))


@dataclass(frozen=True)
class MusicRequest:
    """The music of one prompt: its lead sheet, the players' notes where there are some, how much of both is to be
    followed, and how it is played.
    """

    lead_sheet: LeadSheet
    arrangement: Arrangement | None
    mask: ConditionMask
    expression: Expression | None = None


@dataclass(frozen=True)
class GenerationRequest:
    """Everything that a call with music asks for.

    Attributes:
        music: one a prompt.
        guidance: scales of words, music and notes, and where they apply.
        seconds: length of the audio; of every prompt's.
        window_seconds: longer audio is made in windows of so much; None: the base's own length.
        steps: denoising steps.
        waveforms: candidates a prompt.
        strength: of all adapters, 0–1.
        stems: each player's audio too, whose sum is the waveform.
        style: a clip whose sound is told to the base in place of the words, or mixed with them.
        loop_seconds: of a loop its length, to the sample; ``music`` then is played twice, to ``seconds`` each time,
            a whole number of latent rows. None: no loop.
    """

    music: tuple[MusicRequest, ...]
    guidance: Guidance
    seconds: float
    window_seconds: float | None = None
    steps: int = STEPS_WITH_MUSIC
    waveforms: int = 1
    strength: float = 1.0
    stems: bool = False
    style: StyleReference | None = None
    loop_seconds: float | None = None

    @property
    def batch_size(self) -> int:
        """Waveforms of all prompts together."""
        return len(self.music) * self.waveforms


def build_request(
    prompts: Sequence[object],
    *,
    lead_sheet: LeadSheet | list[LeadSheet] | None,
    harmonic_progression: str | Sequence[str | Chord] | None,
    settings: Mapping[str, object],
    seconds: float | None,
    default_seconds: float | None,
    arrangement: Arrangement | list[Arrangement] | None,
    adapter: MusicAdapter | None,
    song: bool,
    follow: str | Sequence[str] | None,
    follow_seconds: tuple[float, float] | None,
    guidance_scale: float | None,
    music_guidance_scale: float | None,
    stem_guidance_scale: float | None,
    guidance_rescale: float | None,
    guidance_interval: Interval | None,
    music_guidance_interval: Interval | None,
    window_seconds: float | None,
    steps: int | None,
    waveforms: int,
    strength: float | None,
    stems: bool,
    sampling: Sampling | None = None,
    expression: Expression | Mapping[str, object] | list | None = None,
) -> GenerationRequest:
    """Build the request of a call with music, checked as a whole; single values are checked by then.

    Args:
        prompts: one a batch item; str, or None where embeddings are given.
        adapter: the pipeline's; it says whether notes can be read.
        song: whether sheet and arrangement were written for this call: then notes that the adapter cannot read are no
            mistake.
        sampling: of a LoRA of few steps that counts: its steps are the default then, and nothing is pushed.
        expression: how it is played: one for all prompts, or a list of one for each.

    Raises:
        ValueError: for what a call with music cannot do.
        TypeError: for a lead sheet that is none.
    """
    from musetune.pipeline.condition_mask import condition_mask
    from musetune.pipeline.guidance import ALWAYS, Guidance

    sheets = [
        sheet
        for one in one_a_prompt("lead_sheet", lead_sheet, len(prompts))
        if (sheet := resolve_lead_sheet(one, harmonic_progression, seconds, default_seconds, settings))
    ]
    arrangements = one_a_prompt("arrangement", arrangement, len(prompts))
    if adapter is None:
        raise ValueError(
            "a lead sheet needs an adapter: from_pretrained(base, adapter='theory') or load_adapter('theory')"
        )
    if not prompts or not all(isinstance(one, str | None) for one in prompts):
        raise ValueError(f"prompt={prompts!r} is not a str or a list of str")
    if seconds is None and len({round(sheet.duration_s, 2) for sheet in sheets}) > 1:
        lengths = ", ".join(f"{sheet.duration_s:.2f}" for sheet in sheets)
        raise ValueError(f"the lead sheets last {lengths} s: give duration_seconds, one length for the batch")
    if adapter.stems is None and (stems or (arrangement is not None and not song)):
        raise ValueError(
            "this adapter reads no stems: load one that does, such as 'theory', or leave out arrangement and stems"
        )
    if stems and len(prompts) > 1:
        raise ValueError("stems=True plays one prompt: call once for each")
    if stems and arrangement is None:
        raise ValueError("stems=True needs notes for the players: give arrangement=pipe.arrange(sheet)")
    if stems and waveforms != 1:
        raise ValueError("stems=True makes one waveform: leave out num_waveforms_per_prompt")
    if window_seconds is not None:
        check_positive("window_seconds", window_seconds)
    played = resolve_expression(expression, len(prompts), adapter, stems=stems)
    notes = [None if adapter.stems is None else one for one in arrangements]
    has_notes = any(one is not None for one in notes)
    scales = (TEXT_GUIDANCE, MUSIC_GUIDANCE) if not has_notes else (PLAYED_GUIDANCE, PLAYED_GUIDANCE)
    if sampling is not None:
        remark_on_few_steps(sampling, steps, guidance_scale, music_guidance_scale, stem_guidance_scale)
        if all(scale in (None, UNGUIDED) for scale in (guidance_scale, music_guidance_scale, stem_guidance_scale)):
            remark_on_idle_guidance(
                guidance_rescale=guidance_rescale,
                guidance_interval=guidance_interval,
                music_guidance_interval=music_guidance_interval,
            )
        scales = (UNGUIDED, UNGUIDED)
    guidance = Guidance(
        or_default(guidance_scale, scales[0]),
        or_default(music_guidance_scale, scales[1]),
        or_default(guidance_rescale, GUIDANCE_RESCALE),
        or_default(guidance_interval, ALWAYS),
        or_default(music_guidance_interval, ALWAYS),
        or_default(stem_guidance_scale, PLAYED_GUIDANCE if sampling is None else UNGUIDED) if has_notes else None,
    )
    for sheet in sheets:
        remark_on_vocabulary(sheet)
    return GenerationRequest(
        music=tuple(
            MusicRequest(sheet, own, condition_mask(sheet, follow, follow_seconds, own), how)
            for sheet, own, how in zip(sheets, notes, played, strict=True)
        ),
        guidance=guidance,
        seconds=or_default(seconds, sheets[0].duration_s),
        window_seconds=window_seconds,
        steps=or_default(steps, STEPS_WITH_MUSIC if sampling is None else sampling.steps),
        waveforms=waveforms,
        strength=or_default(strength, 1.0),
        stems=stems,
    )


def complexity_of(expression: object) -> float | None:
    """The harmonic complexity that one song's expression asks for; None where it says nothing of it."""
    value = expression.get("harmonic_complexity") if isinstance(expression, Mapping) else None
    return expression.harmonic_complexity if isinstance(expression, Expression) else value


def resolve_expression(
    expression: Expression | Mapping[str, object] | list | None, prompts: int, adapter: MusicAdapter, *, stems: bool
) -> list[Expression | None]:
    """Return how each of so many prompts is played; None where a prompt's expression says nothing.

    Where loudness alone is not said it is PLAIN_LUFS.

    Raises:
        ValueError: for features out of range, an adapter without a branch for expression, and players one by one, whose
            loudness and density are not those of the whole.
        TypeError: for what is no expression.
    """
    given = []
    for one in one_a_prompt("expression", expression, prompts):
        if not (one is None or isinstance(one, (Expression, Mapping))):
            raise TypeError(f"expression={one!r} is no Expression and no dictionary such as {{'swing': 0.62}}")
        how = Expression.from_json(one) if isinstance(one, Mapping) else one
        if how is not None and how != Expression() and not how.loudness_db:
            how = replace(how, loudness_db=((0.0, PLAIN_LUFS),))
        given.append(None if how == Expression() else how)
    if any(how is not None for how in given):
        if adapter.expression is None:
            raise ValueError(
                "this adapter reads no expression: load one with a branch for it (recipes/configs/expression.yaml "
                "trains it), or leave expression out"
            )
        if stems:
            raise ValueError("stems=True plays one player after another, expression is of all together: leave one out")
    return given


def remark_on_few_steps(sampling: Sampling, steps: int | None, *scales: float | None) -> None:
    """Say where steps or guidance scales, None where not given, do not fit the LoRA of few steps that counts."""
    if steps is not None and not sampling.fits(steps):
        remark(
            f"num_inference_steps={steps}: the adapter for few steps was distilled for {sampling.steps}; give "
            f"{sampling.fewest}–{sampling.most}, or unload_adapter it"
        )
    if any(scale not in (None, UNGUIDED) for scale in scales):
        remark(
            "the adapter for few steps has guidance in it: a scale other than 1 pushes once more and costs a pass; "
            "leave the scales out, or unload_adapter it"
        )


def remark_on_missing_sheet(few_steps: AdapterMetadata) -> None:
    """Say that a call without music leaves the theory adapter out, over which a LoRA of few steps was distilled."""
    if few_steps.theory is not None:
        remark(
            f"{few_steps.name!r} was distilled over the theory adapter {few_steps.theory!r}, which a call without "
            "music leaves out: words count less in it; give chords or a lead sheet, or unload_adapter it"
        )


def remark_on_idle_guidance(**arguments: object) -> None:
    """Say which arguments of guidance, None where not given, do nothing in one pass."""
    if idle := [name for name, value in arguments.items() if value is not None]:
        remark(
            f"{', '.join(idle)}: the adapter for few steps plays in one pass, in which this has no meaning; leave it "
            "out, or unload_adapter it"
        )


def remark_on_vocabulary(sheet: LeadSheet) -> None:
    """Say what of ``sheet`` the model has no word for: unknown meters, chords that it calls by a simpler name."""
    from musetune.conditioning import METERS

    unknown = sorted({str(span.meter) for span in sheet.meters} - set(METERS))
    if unknown:
        remark(
            f"the model has no name for {', '.join(unknown)} (it knows {', '.join(METERS)}): "
            "beats and bar lines are followed, the meter's name is left out"
        )
    simpler = {str(span.chord): span.chord.simplify() for span in sheet.chords if span.chord.folded}
    if simpler:
        examples = ", ".join(f"{exact} as {plain}" for exact, plain in list(simpler.items())[:4])
        remark(
            f"the model calls some chords by a simpler name: {examples}; their exact notes still count in its chroma"
        )


def resolve_lead_sheet(
    lead_sheet: LeadSheet | None,
    progression: str | Sequence[str | Chord] | None,
    seconds: float | None,
    default_seconds: float | None,
    settings: Mapping[str, object],
) -> LeadSheet | None:
    """Return the one lead sheet that the arguments mean, cut to ``seconds`` where given; None for a call without music.

    Args:
        lead_sheet: as the call got it; it has key, tempo, meter and genre itself.
        progression: chords to be read in ``settings``, repeated until ``seconds``.
        seconds: length of the audio, above 0.
        default_seconds: length of a progression where ``seconds`` is None; None: it is played once.
        settings: key, bpm, time_signature, genre; None where not given.

    Raises:
        ValueError: for settings that would be ignored and for a sheet that ends a beat or more before ``seconds``.
    """
    if seconds is not None:
        check_positive("duration_seconds", seconds)
    if lead_sheet is not None and progression is not None:
        raise ValueError("give either lead_sheet or harmonic_progression, not both")
    if lead_sheet is not None:
        reject_arguments(
            settings, "is the lead sheet's own: leave it out, or give harmonic_progression=… instead of lead_sheet"
        )
        return fit_lead_sheet(lead_sheet, seconds)
    if progression is None:
        reject_arguments(settings, NEEDS_MUSIC)
        return None
    arguments = given_arguments(**settings, duration_seconds=default_seconds if seconds is None else seconds)
    if isinstance(progression, str):
        return LeadSheet.parse(progression, **arguments)
    return LeadSheet.from_progression(progression, **arguments)


def fit_lead_sheet(sheet: LeadSheet, seconds: float | None) -> LeadSheet:
    """Return ``sheet`` cut to ``seconds``.

    Raises:
        TypeError: for what is no lead sheet.
        ValueError: where it ends a beat or more before ``seconds``.
    """
    if not isinstance(sheet, LeadSheet):
        raise TypeError(
            f"lead_sheet={sheet!r} is a {type(sheet).__name__}, not a LeadSheet: chords go in as "
            f"harmonic_progression=…, "
            "files through LeadSheet.load"
        )
    if seconds is None:
        return sheet
    if seconds >= sheet.duration_s + 60 / sheet.bpm:
        raise ValueError(
            f"duration_seconds={seconds:g} is past the end of the lead sheet, which lasts {sheet.duration_s:.2f} s: "
            f"ask for "
            "no more than that, or give a progression, which repeats"
        )
    return sheet.crop(0.0, seconds) if seconds < sheet.duration_s else sheet
