"""Does generated audio follow its lead sheets? Between two floors and two ceilings, judged by recognisers that we did
not train.

    python recipes/evaluate.py --base nano --adapter theory --out out/evaluation [--sheets FOLDER] [--limit 8]

For every lead sheet of the test set, at its own fixed seed: floor A the base without adapter; floor B the audio that
the adapter made for another song's lead sheet, scored against this one; the adapter; ceiling A the lead sheet
rendered by a synthesiser; ceiling B that rendering through the base's spectrogram, autoencoder and vocoder. Leaves
audio/, reports/, charts/, results.json, results.md and results.png in OUT and prints the table. Killed, it goes on
where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from musetune import __version__
from musetune.audio import find_soundfont, load_audio, mel_frontend, save_audio, synthesize
from musetune.evaluation import (
    MEASURES,
    Mean,
    bootstrap_mean,
    draw_chart,
    draw_table,
    load_test_sheets,
    reachable_share,
)
from musetune.evaluation.adherence import adherence
from musetune.evaluation.judges import judge_with_hints, versions
from musetune.evaluation.reports import LISTENERS, Report
from musetune.evaluation.sound import clap_similarity, frechet_distance, timbre
from musetune.evaluation.testset import TestSheet
from musetune.generation.request import MUSIC_GUIDANCE
from musetune.pipeline import MuseTunePipeline
from musetune.planning.orchestrate import orchestrate

CONDITIONS = ("floor A", "floor B", "adapter", "ceiling A", "ceiling B")
UNHINTED = ("beat_f", "downbeat_f", "tempo_acc1", "tempo_acc2")  # also without telling the tracker the asked tempo
ROWS = (*MEASURES, *(f"{name} unhinted" for name in UNHINTED), "clap")
Table = dict[str, dict[str, Mean | None]]


def main(arguments: list[str]) -> None:
    args = parse(arguments)
    judges = versions()  # before hours of work: are they installed?
    out, tests = Path(args.out), load_test_sheets(args.sheets)[: args.limit]
    if len(tests) < 2:
        raise ValueError(f"{len(tests)} lead sheet given; floor B needs another song's, so give at least 2")
    pipe = load(args)
    remember(out, settings(args, pipe))
    make_audio(pipe, tests, args, out)
    scores = judge_all(pipe, tests, out)
    table: Table = {c: {row: bootstrap_mean([s[row] for s in scores[c].values()]) for row in ROWS} for c in CONDITIONS}
    sound = distances(tests, out)
    text = markdown(table, sound, len(tests))
    (out / "results.md").write_text(text)
    record = {
        "settings": settings(args, pipe),
        "judges": judges,
        "table": plain(table),
        "frechet": sound,
        "clips": scores,
    }
    (out / "results.json").write_text(json.dumps(record, indent=1, allow_nan=False))
    draw_table(out / "results.png", table, MEASURES, title=f"{args.base} with {args.adapter}, {len(tests)} lead sheets")
    print(text)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="nano", help="bundled name, folder or Hub name")
    parser.add_argument("--adapter", default="theory", help="bundled name, folder or Hub name")
    parser.add_argument("--sheets", help="folder or file of lead sheets; default: the test set of musetune.evaluation")
    parser.add_argument("--out", default="out/evaluation")
    parser.add_argument("--limit", type=int, help="only the first so many lead sheets")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=2.5, help="of the words")
    parser.add_argument("--music-guidance", type=float, default=MUSIC_GUIDANCE, help="of the lead sheet")
    parser.add_argument("--soundfont", help="of the renderings; default: what musetune.audio.find_soundfont finds")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args(arguments)


def load(args: argparse.Namespace) -> MuseTunePipeline:
    pipe = MuseTunePipeline.from_pretrained(args.base, adapter=args.adapter).to(args.device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def settings(args: argparse.Namespace, pipe: MuseTunePipeline) -> dict[str, Any]:
    """What the audio depends on; the weights by a hash."""
    chosen = {k: v for k, v in vars(args).items() if k not in ("out", "limit", "device")}
    modules = {name: getattr(pipe, name) for name in ("unet", "vae", "vocoder", "adapter")}
    weights = {name: fingerprint(module) for name, module in modules.items()}
    return {**chosen, "soundfont": find_soundfont(args.soundfont).name, "weights": weights, "musetune": __version__}


def fingerprint(module: torch.nn.Module) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}".encode() + value.float().cpu().numpy().tobytes())
    return digest.hexdigest()


def remember(out: Path, now: dict[str, Any]) -> None:
    """Write the settings beside the audio, or refuse to go on with audio that was made with others."""
    path = out / "settings.json"
    if path.exists() and (before := json.loads(path.read_text())) != now:
        differing = [key for key in sorted(now) if before.get(key) != now[key]]
        raise ValueError(f"{out} holds audio made with another {', '.join(differing)}; give another --out or remove it")
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(now, indent=1))


def make_audio(pipe: MuseTunePipeline, tests: list[TestSheet], args: argparse.Namespace, out: Path) -> None:
    """One WAV a condition and sheet, those that are there left alone. Floor B has none: it is the adapter's on other sheets."""
    makers: dict[str, Callable[[TestSheet], np.ndarray]] = {
        "floor A": lambda test: plain_base(pipe, test, args),
        "adapter": lambda test: obedient(pipe, test, args),
        "ceiling A": lambda test: rendered(pipe, test, args),
        "ceiling B": lambda test: through_codec(pipe, rendered(pipe, test, args)),
    }
    todo = [(c, t) for t in tests for c in makers if not wav(out, c, t).exists()]
    for condition, test in tqdm(todo, desc="audio", unit="clip"):
        partial = wav(out, condition, test).with_suffix(".partial")
        save_audio(partial, makers[condition](test), pipe.vocoder.config.sampling_rate, "wav")
        partial.replace(wav(out, condition, test))


def plain_base(pipe: MuseTunePipeline, test: TestSheet, args: argparse.Namespace) -> np.ndarray:
    """The prompt alone."""
    made = pipe(
        test.prompt,
        audio_length_in_s=test.sheet.duration_s,
        num_inference_steps=args.steps,
        guidance_scale=args.guidance,
        generator=torch.Generator().manual_seed(test.seed),
    ).audios[0]
    return np.asarray(made / max(1.0, np.abs(made).max() / 0.99), dtype=np.float32)


def obedient(pipe: MuseTunePipeline, test: TestSheet, args: argparse.Namespace) -> np.ndarray:
    """Prompt and lead sheet."""
    return pipe(
        test.prompt,
        lead_sheet=test.sheet,
        num_inference_steps=args.steps,
        guidance_scale=args.guidance,
        music_guidance_scale=args.music_guidance,
        generator=torch.Generator().manual_seed(test.seed),
    ).audios[0]


def rendered(pipe: MuseTunePipeline, test: TestSheet, args: argparse.Namespace) -> np.ndarray:
    """The sheet arranged by rule and played by the soundfont."""
    midi = orchestrate(test.sheet, seed=test.seed).arrangement.to_pretty_midi()
    rate = pipe.vocoder.config.sampling_rate
    return synthesize(midi, rate, duration_s=test.sheet.duration_s, soundfont=args.soundfont)


@torch.no_grad()
def through_codec(pipe: MuseTunePipeline, wave: np.ndarray) -> np.ndarray:
    """Waveform → spectrogram → latents → spectrogram → waveform, as the base's own modules do it."""
    mel = mel_frontend(pipe).to(pipe.device)(torch.from_numpy(wave)[None].to(pipe.device))
    whole = mel.shape[2] // pipe.vae_scale_factor * pipe.vae_scale_factor
    latents = pipe.vae.encode(mel[:, :, :whole]).latent_dist.mode()
    audio = pipe.mel_spectrogram_to_waveform(pipe.vae.decode(latents).sample).float().cpu().numpy()[0]
    return np.asarray(audio / max(1.0, np.abs(audio).max() / 0.99), dtype=np.float32)


def judge_all(
    pipe: MuseTunePipeline, tests: list[TestSheet], out: Path
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Condition → sheet → scores; reports of earlier runs are read, not judged again. Charts of what the adapter made."""
    scores: dict[str, dict[str, dict[str, float | None]]] = {condition: {} for condition in CONDITIONS}
    for condition, test, source in tqdm(list(trials(tests)), desc="judges", unit="clip"):
        path = out / "reports" / condition.replace(" ", "-") / f"{test.id}.json"
        if not path.exists():
            wave, rate = load_audio(wav(out, source, other(tests, test) if condition == "floor B" else test))
            hinted, unhinted = judge_with_hints(wave, rate, (test.sheet.bpm, None))
            made = Report(test.sheet, hinted, LISTENERS["judges"], adherence(test.sheet, hinted))
            free = adherence(test.sheet, unhinted)
            record = made.to_json({"id": test.id, "prompt": test.prompt, "seed": test.seed, "source": test.source})
            record["scores"] |= {f"{name} unhinted": free[name] for name in UNHINTED}
            record["scores"]["clap"] = float(clap_similarity(pipe, [test.prompt], [wave], rate)[0])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record, indent=1, allow_nan=False))
            if condition == "adapter":
                draw_chart(
                    out / "charts" / f"{test.id}.png", wave, rate, test.sheet, hinted, title=f"{test.id}: {test.prompt}"
                )
        scores[condition][test.id] = json.loads(path.read_text())["scores"]
    return scores


def trials(tests: list[TestSheet]) -> Iterator[tuple[str, TestSheet, str]]:
    """(condition, sheet to score against, condition whose audio is judged)."""
    for test in tests:
        for condition in CONDITIONS:
            yield condition, test, "adapter" if condition == "floor B" else condition


def other(tests: list[TestSheet], test: TestSheet) -> TestSheet:
    """Another song's sheet: the one half the test set away."""
    index = [t.id for t in tests].index(test.id)
    return tests[(index + max(1, len(tests) // 2)) % len(tests)]


def wav(out: Path, condition: str, test: TestSheet) -> Path:
    return out / "audio" / condition.replace(" ", "-") / f"{test.id}.wav"


def distances(tests: list[TestSheet], out: Path) -> dict[str, float | None]:
    """Fréchet distance (MFCC statistics) of each condition's clips to ceiling A's; None with too little audio, and for itself."""
    sets = {
        condition: np.concatenate([timbre(*load_audio(wav(out, condition, test))) for test in tests])
        for condition in CONDITIONS
        if condition != "floor B"
    }
    reference = sets.pop("ceiling A")
    enough = len(reference) > reference.shape[1]
    return {condition: frechet_distance(points, reference) if enough else None for condition, points in sets.items()}


def markdown(table: Table, sound: dict[str, float | None], count: int) -> str:
    """The table in percent with 95 % intervals, and the share of what is reachable."""
    heads = ("", *CONDITIONS, "share of the reachable")
    lines = [
        f"{count} lead sheets; % with 95 % bootstrap intervals; share = (adapter − floor A) / (ceiling B − floor A).",
        "",
    ]
    lines += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in ROWS:
        means = [table[condition][row] for condition in CONDITIONS]
        by = dict(zip(CONDITIONS, means, strict=True))
        floor, ours, ceiling = by["floor A"], by["adapter"], by["ceiling B"]
        share = (
            reachable_share(ours.mean, floor.mean, ceiling.mean)
            if row in MEASURES and floor and ours and ceiling
            else None
        )
        lines.append(
            "| " + " | ".join([row, *(cell(m) for m in means), "—" if share is None else f"{100 * share:.0f} %"]) + " |"
        )
    values = [sound.get(condition) for condition in CONDITIONS]
    lines.append("| Fréchet distance | " + " | ".join("—" if v is None else f"{v:.0f}" for v in values) + " | |")
    return "\n".join(lines) + "\n"


def cell(mean: Mean | None) -> str:
    return "—" if mean is None else f"{100 * mean.mean:.1f} ({100 * mean.low:.0f}–{100 * mean.high:.0f})"


def plain(table: Table) -> dict[str, dict[str, dict[str, float] | None]]:
    return {c: {row: None if mean is None else vars(mean) for row, mean in rows.items()} for c, rows in table.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
