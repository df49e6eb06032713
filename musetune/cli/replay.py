"""`musetune replay`: one player of a song with stems anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from musetune.cli.edit import Adapter, Base, Device, Json, Seed, Steps, StyleAudio, StyleStrength, style_of
from musetune.cli.outputs import Force, check_new
from musetune.cli.song import check_text, stem_names
from musetune.cli.sound import Engine, Fast

HELP = """Let one player of a song play again, and keep the others sample for sample.

SONG is the .mid that `musetune compose --stems-audio` or `musetune generate --stems` wrote, or the .json of --plan;
SONG.drums.wav and so on lie beside it. The player's new sound, all others, and their sum are written as -o, with the
notes as .json and .mid. --rewrite writes the player other notes first, after those of the others.

Examples:

  musetune compose "funky rock at 110 bpm" --stems-audio -o groove

  musetune replay groove.mid bass --seed 3 -o groove2

  musetune replay groove.mid lead --rewrite --prompt "solo tenor sax" -o groove3
"""


def replay(
    song: Annotated[Path, typer.Argument(help="notes: .mid, or .json of compose --plan", exists=True, dir_okay=False)],
    player: Annotated[str, typer.Argument(help="drums, bass, guitar, keys or lead")],
    out: Annotated[Path, typer.Option("--out", "-o", help="name of all files")],
    prompt: Annotated[str | None, typer.Option(help="words; default such as 'solo electric bass, jazz'")] = None,
    rewrite: Annotated[bool, typer.Option("--rewrite", help="write the player other notes too")] = False,
    style_audio: StyleAudio = None,
    style_strength: StyleStrength = None,
    base: Base = "nano",
    adapter: Adapter = None,
    steps: Steps = None,
    fast: Fast = False,
    engine: Engine = None,
    seed: Seed = 0,
    device: Device = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    import torch

    from musetune.audio import bit_depth, load_audio, save_audio
    from musetune.cli.sound import default_steps, load_pipeline
    from musetune.formats.songs import load_arrangement, save_song
    from musetune.pipeline.loading import pick_device, quiet
    from musetune.pipeline.output import MuseTuneOutput
    from musetune.symbols import LeadSheet
    from musetune.symbols.arrangement import STEMS

    check_text("--prompt", prompt or "")
    (name,) = stem_names(player)
    sheet, notes = LeadSheet.load(song), load_arrangement(song)
    stem = song.with_suffix("")
    for kind in ("wav", "flac"):
        waves = {one: stem.with_name(f"{stem.name}.{one}.{kind}") for one in STEMS}
        if there := {one: path for one, path in waves.items() if path.is_file()}:
            break
    else:
        raise FileNotFoundError(
            f"no {stem.name}.drums.wav, .flac or other player beside {song}: compose with --stems-audio, or generate "
            "with --stems, as wav or flac"
        )
    files = {one: out.with_name(f"{out.name}.{one}.{kind}") for one in {*there, name}}
    more = [out.with_name(f"{out.name}{suffix}") for suffix in (f".{kind}", ".json", ".mid")]
    if any(path.exists() and path.samefile(song) for path in more):
        raise ValueError(f"-o {out} would overwrite {song}, which is read: give another name")
    check_new([*files.values(), *more], force)
    style = style_of(style_audio, style_strength)
    stems = {one: load_audio(path, mono=False) for one, path in there.items()}
    shapes = {(wave.shape, rate) for wave, rate in stems.values()}
    if len(shapes) > 1:
        raise ValueError(f"the players beside {song} are not equally long, or differ in rate or channels: render anew")
    ((shape, rate),) = shapes
    audio = {one: wave[0] if len(wave) == 1 else wave for one, (wave, _) in stems.items()}
    quiet()
    pipe, _ = load_pipeline(base, adapter, pick_device(device), music=True, fast=fast, engine=engine)
    if shape[0] > 1 and pipe.upsampler is None:
        pipe.load_upsampler()
    mix = sum(audio.values())
    take = MuseTuneOutput(mix[None], rate, sheet, arrangement=notes, stems=audio, lead_sheets=(sheet,))  # type: ignore[index]
    made = pipe.replay(
        take,
        name,
        prompt,
        rewrite=rewrite,
        generator=torch.Generator().manual_seed(seed),
        num_inference_steps=default_steps(pipe, steps),
        **style,
    )
    assert made.stems is not None
    assert made.arrangement is not None
    depth = bit_depth(next(iter(there.values())))
    for one, path in files.items():
        if one == name:
            save_audio(path, made.stems[one], rate, kind, depth)
        else:
            shutil.copyfile(there[one], path)
    save_audio(more[0], made.audios[0], rate, kind, depth)
    for path in more[1:]:
        save_song(sheet, made.arrangement, path, title=out.name)
    written = [str(more[0]), *(str(files[one]) for one in STEMS if one in files), *map(str, more[1:])]
    typer.echo(
        json.dumps({"player": name, "seed": seed, "files": written}, indent=2) if as_json else "\n".join(written)
    )
