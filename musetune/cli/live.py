"""`musetune live`: play along with an endless stream."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musetune.cli.hub import complete_adapter, complete_base, complete_genre
from musetune.cli.outputs import Force, check_new
from musetune.cli.song import check_text
from musetune.cli.sound import Engine, load_pipeline

if TYPE_CHECKING:
    from musetune.live.sinks import Sink
    from musetune.symbols import LeadSheet

HELP = """Play live: an endless band that follows your chords.

PROMPT says what it sounds like. The chart (--chords, or --sheet FILE) goes round and round; your hands go before it:

\b
  in a terminal, on the computer keyboard (here C major; as --key says):
    1 2 3 4 5 6 7    I ii iii IV V vi viio          triads
    q w e r t y u    Imaj7 ii7 iii7 IVmaj7 V7 …     sevenths
    a s d f g        V7/ii V7/iii V7/IV V7/V V7/vi  dominants
    z x c v b n m ,  i iio bIII iv v bVI bVII bII   borrowed chords
    space  chart again   -  no chord   Esc  end
    [ ]  softer, louder  < >  slower, faster
  on a MIDI keyboard (--midi NAME, or --midi any): hold three notes or more;
    the chord is named from them and goes on until you hold another

A change is heard at the next bar line if it comes before the look-ahead, which is printed at the end: the time that
a chunk takes to make, and the sound card's latency. What comes later than that is heard soon after the bar line, on the
first beat that is half a second from it or more, where the rest of the bar lasts so long too. Where the machine is too
slow, underruns are counted and said; --mono16 helps. Bars that last longer than --chunk-seconds are made in parts.

The adapter fast makes a chunk in two steps of one pass, in less than half the time of eight steps without it
(--no-fast). With --engine the adapters and the mix that were exported play, and no others: export with --fast.

Sound goes to the sound card (MuseTune installed with its extra live), with --out live.wav to a file, with --out - as
WAV to standard output, for another program. --clock NAME sends MIDI clock (24 a quarter note, start and stop) in time
with what is heard. Words go to standard error.

Examples:

  musetune live "warm jazz trio" --chords "ii7 V7 Imaj7 vi7" --key F --bpm 132

  musetune live "synth pop" --bpm 124 --midi any --clock any --mix electronic=0.8

  musetune live "slow piano" --sheet ballad.json --seconds 120 --out take.wav

  musetune live "rock band" --chords "| Am | F | C | G |" --seconds 60 --out - | aplay
"""


def live(
    prompt: Annotated[str, typer.Argument(help="what it should sound like: genre, instruments, mood")] = "",
    chords: Annotated[str | None, typer.Option(help="chart that goes round: 'I V vi IV', '| C | G . Am . |'")] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(help="lead sheet instead: .json, .mid, .musicxml, .mxl, .jams", exists=True, dir_okay=False),
    ] = None,
    key: Annotated[str | None, typer.Option(help="such as 'Bb major' or 'f# minor'; default C major")] = None,
    bpm: Annotated[float | None, typer.Option(help="beats a minute, 30–300; default 120")] = None,
    meter: Annotated[str | None, typer.Option(help="time signature; default 4/4")] = None,
    genre: Annotated[
        str | None,
        typer.Option(help="pop, rock, jazz, blues, classical or electronic", autocompletion=complete_genre),
    ] = None,
    mix: Annotated[
        list[str] | None, typer.Option(help="genre adapter and its weight, jazz=0.7, more than once")
    ] = None,
    midi: Annotated[str | None, typer.Option(help="MIDI keyboard: a part of its name, or any")] = None,
    clock: Annotated[str | None, typer.Option(help="MIDI output for the clock: a part of its name, or any")] = None,
    sound: Annotated[str | None, typer.Option(help="sound card: a part of its name; default the system's")] = None,
    out: Annotated[str | None, typer.Option("--out", "-o", help="WAV file, or - for standard output")] = None,
    seconds: Annotated[float | None, typer.Option(help="end after so long")] = None,
    steps: Annotated[int | None, typer.Option(help="denoising steps; default 2, with --no-fast 8", min=1)] = None,
    fast: Annotated[
        bool | None,
        typer.Option("--fast/--no-fast", help="play with the adapter fast; default where it fits base and adapter"),
    ] = None,
    engine: Engine = None,
    chunk_seconds: Annotated[
        float | None, typer.Option(help="a longer bar is made in parts; default what the model hears at once, 3.48")
    ] = None,
    base: Annotated[str, typer.Option(help="nano, a folder, or a Hub id", autocompletion=complete_base)] = "nano",
    adapter: Annotated[
        str | None,
        typer.Option(
            help="bundled name, folder or Hub id; default the base's own, else theory", autocompletion=complete_adapter
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="same seed and same hands, same audio")] = 0,
    device: Annotated[str | None, typer.Option(help="such as cpu or cuda:1; default cuda where there is one")] = None,
    mono16: Annotated[
        bool, typer.Option("--mono16", help="the base's own 16 kHz mono instead of 48 kHz stereo")
    ] = False,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="say how it went, for programs")] = False,
) -> None:
    import torch

    from musetune.live.controls import LiveControls
    from musetune.live.few_steps import few_steps_of, load_few_steps
    from musetune.live.keys import key_map, read_keys, terminal
    from musetune.live.midi import HeldNotes, MidiClock, open_input, open_output
    from musetune.live.performance import perform
    from musetune.pipeline.checks import check_positive
    from musetune.pipeline.loading import pick_device, quiet

    check_text("PROMPT", prompt)
    if seconds is not None:
        check_positive("--seconds", seconds)
    chart = chart_of(chords, sheet, key=key, bpm=bpm, time_signature=meter, genre=genre)
    weights = mix_of(mix or [])
    keys = terminal()
    if out is not None and out != "-":
        check_new([Path(out)], force)
    if seconds is None and keys is None and midi is None:
        raise ValueError("nothing here can end it: give --seconds, or run it in a terminal, where Esc does")
    controls = LiveControls(chart, prompt)
    quiet()
    pipe, _ = load_pipeline(base, adapter, pick_device(device), music=True, fast=fast is True, engine=engine)
    if fast is None:
        load_few_steps(pipe)
    elif not fast and (name := few_steps_of(pipe)) is not None:  # --adapter named one
        pipe.set_adapter({name: 0.0})
    if weights:  # without --mix what --adapter names counts as it is
        for name in weights:
            pipe.load_adapter(name, name)
        controls.set_mix(weights)
    if not mono16 and pipe.upsampler is None:
        pipe.load_upsampler()
    with ExitStack() as stack:
        if midi is not None:
            stack.enter_context(open_input(_any(midi), HeldNotes(controls, _say).receive))
        ports = [stack.enter_context(open_output(_any(clock)))] if clock is not None else []
        in_time = keys is not None or midi is not None or clock is not None  # somebody plays along, or something does
        sink = open_sink(out, sound, pipe, mono16, in_time)
        ticker = MidiClock(ports[0].send, sink.heard_s) if ports else None
        if keys is not None:
            _say(key_map(controls.key))
            reader = threading.Thread(target=read_keys, args=(keys, controls, _say), daemon=True)
            reader.start()
            stack.callback(reader.join)
        stack.callback(controls.stop)
        try:
            performance = perform(
                pipe,
                controls,
                sink,
                stereo=not mono16,
                clock=ticker,
                seconds=seconds,
                stopped=lambda: controls.stopped,
                say=_say,
                generator=torch.Generator().manual_seed(seed),
                num_inference_steps=steps,
                chunk_seconds=chunk_seconds,
            )
        except KeyboardInterrupt:
            _say("interrupted")
            return
    said: dict[str, Any] = asdict(performance) | {"out": out, "latency_s": sink.latency_s}
    typer.echo(json.dumps(said, indent=2) if as_json else performance.summary, err=out == "-" or not as_json)


def chart_of(chords: str | None, sheet: Path | None, **settings: Any) -> LeadSheet:
    """The lead sheet that goes round and round: whole bars.

    Raises:
        ValueError: for both, or settings beside a sheet, which has its own.
    """
    from musetune.pipeline.checks import given_arguments, reject_arguments
    from musetune.symbols import LeadSheet

    if sheet is None:
        return LeadSheet.parse(chords or "I V vi IV", **given_arguments(**settings))
    reject_arguments({"--chords": chords}, "and --sheet: give one of them")
    names = {"time_signature": "--meter"}
    reject_arguments(
        {names.get(name, f"--{name}"): value for name, value in settings.items()},
        f"is the lead sheet's own: leave it out beside --sheet {sheet}",
    )
    loaded = LeadSheet.load(sheet)
    return loaded if loaded.length.denominator == 1 else loaded.slice(0, max(1, int(loaded.length)))


def mix_of(words: list[str]) -> dict[str, float]:
    """Weights of genre adapters, read from jazz=0.7 or jazz."""
    weights = {}
    for word in words:
        name, equals, weight = word.partition("=")
        try:
            weights[name] = float(weight) if equals else 1.0
        except ValueError:
            raise ValueError(f"--mix {word!r} is not like jazz=0.7") from None
    return weights


def open_sink(out: str | None, sound: str | None, pipe: Any, mono16: bool, in_time: bool) -> Sink:
    """Where the sound goes, by the options."""
    from musetune.live.sinks import SoundCard, WavSink

    rate, channels = (pipe.vocoder.config.sampling_rate, 1) if mono16 else (48000, 2)
    if out is None:
        return SoundCard(rate, channels, sound)
    if sound is not None:
        raise ValueError(f"--sound {sound} and --out {out}: give one of them")
    return WavSink(sys.stdout.buffer if out == "-" else Path(out), rate, channels, in_time)


def _any(name: str) -> str | None:
    return None if name == "any" else name


def _say(text: str) -> None:
    typer.echo(text, err=True)
