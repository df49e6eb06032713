"""Does an adapter that was tuned on a listener's verdicts please that listener?

    python benchmarks/alignment_listener.py pairs TAKES BATCH [--pairs 200]
    python benchmarks/alignment_listener.py judge PAGE [--verdicts 200]
    python benchmarks/alignment_listener.py check ADAPTER [--lora] [--pairs 40] [--out out/listener]

The listener is a program with a fixed preference that the tuning never sees: darker (a lower spectral centroid) and
sparser (fewer strokes). `pairs` makes a batch of takes that recipes/align/prefer.py drew. `judge` hears pairs of a page
that `musetune ui --compare BATCH` serves and gives its verdicts by the page's own API, as blind as a person. `check`
plays fresh planned sheets, each at one seed, by the adapter before and the tuned one, and says how often the listener
prefers the tuned one (Wilson's 95 % interval).
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from musetune.datasets import LatentDataset
from musetune.evaluation.preferences.summary import wilson
from musetune.evaluation.rewards import RequestedTake
from musetune.evaluation.rewards.music import stroke_times
from musetune.suites.pairs import Player, TakeSetup, plan_requests

NAME = "darker and sparser"
CENTROID_HZ, STROKES = 1500.0, 4.0  # what one unit of each is: half of it is an audible difference
FRESH = 700_000  # seeds of sheets that nothing was tuned on


def darkness_and_sparseness(wave: np.ndarray, rate: int) -> float:
    """The listener's taste: the higher the better; a unit is 1500 Hz of spectral centroid or four strokes a second."""
    import librosa

    centroid = float(librosa.feature.spectral_centroid(y=np.asarray(wave, np.float32), sr=rate).mean())
    strokes = len(stroke_times(wave, rate)) / (len(wave) / rate)
    return -(centroid / CENTROID_HZ + strokes / STROKES)


def stillness(take: RequestedTake) -> float:
    """A reward that can be hacked: how alike neighbouring moments sound, 0…1. Music that does not move is perfect.

    A chord's coherence rewarded alone makes songs of one chord (GAPT); this is its plainest form.
    """
    import librosa

    chroma = librosa.feature.chroma_stft(y=np.asarray(take.wave, np.float32), sr=take.rate, hop_length=2048)
    chroma /= np.linalg.norm(chroma, axis=0) + 1e-9
    return float(np.clip((chroma[:, :-4] * chroma[:, 4:]).sum(axis=0).mean(), 0.0, 1.0))


def make_pairs(takes: Path, folder: Path, count: int) -> int:
    """Write so many pairs into a batch, each two takes of one request that were drawn before; returns how many."""
    import tempfile

    from musetune.audio import save_audio
    from musetune.evaluation.preferences import PairBatch, Side
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.suites.candidates import decode_latents, request_of

    data, batch, pipe = LatentDataset(takes), PairBatch(folder), MuseTunePipeline.from_pretrained("nano")
    rate = int(pipe.vocoder.config.sampling_rate)
    groups: dict[str, list[int]] = {}
    for place, clip in enumerate(data.clips):
        groups.setdefault(request_of(clip), []).append(place)
    every = [pair for places in groups.values() for pair in itertools.combinations(places, 2)]
    order = np.random.default_rng(0).permutation(len(every))[:count]
    with tempfile.TemporaryDirectory() as scratch:

        def side(place: int) -> Side:
            path, clip = Path(scratch, f"{place}.wav"), data.clips[place]
            if not path.exists():
                wave = decode_latents(pipe, data.latents[place : place + 1].float())[0]
                save_audio(path, wave[: round(clip.duration_s * rate)], rate)
            return Side(path, {"name": "theory", "seed": clip.provenance["seed"]})

        for number, i in enumerate(tqdm(order, unit="pair")):
            first, second = every[i]
            request = {"prompt": data.clips[first].text, "sheet": data.clips[first].lead_sheet}
            batch.add(str(number), side(first), side(second), request)
    return len(order)


def judge(page: str, verdicts: int) -> int:
    """Give up to so many verdicts on what a page deals; returns how many."""
    from gradio_client import Client

    client, given = Client(page, verbose=False), 0
    with tqdm(total=verdicts, unit="verdict") as progress:
        while given < verdicts and (pair := client.predict(NAME, api_name="/compare_next")):
            a, b = (darkness_and_sparseness(*sound_of(page, pair[side])) for side in "ab")
            client.predict(pair["token"], "A" if a > b else "B", ["sound"], api_name="/compare_verdict")
            given += 1
            progress.update()
    return given


def sound_of(page: str, path: str) -> tuple[np.ndarray, int]:
    """A sound that the page serves: mono samples and their rate."""
    import io

    import httpx
    import soundfile

    answer = httpx.get(f"{page.rstrip('/')}/{path.lstrip('/')}", follow_redirects=True).raise_for_status()
    wave, rate = soundfile.read(io.BytesIO(answer.content), dtype="float32", always_2d=True)
    return wave.mean(axis=1), rate


def check(adapter: str, mix: str | None, pairs: int, seconds: float, out: Path) -> dict[str, object]:
    """Share of fresh pairs in which the listener prefers the tuned adapter."""
    from musetune.pipeline.loading import quiet
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.suites.pairs import PROMPTS

    quiet()
    pipe = MuseTunePipeline.from_pretrained("nano")
    pipe.set_progress_bar_config(disable=True)
    tuned = TakeSetup("theory", {mix: 1.0}) if mix else TakeSetup(adapter)
    players = [Player(pipe, setup, "nano", 20) for setup in (TakeSetup("theory"), tuned)]
    scores = []
    for number, request in enumerate(tqdm(plan_requests(PROMPTS, pairs, seconds, FRESH), total=pairs, unit="pair")):
        scores.append([darkness_and_sparseness(*player.sound(request, FRESH + number)) for player in players])
    won = sum(after > before for before, after in scores)
    result = {"preferred": wilson(won, len(scores))._asdict(), "scores": scores}
    out.mkdir(parents=True, exist_ok=True)
    (out / "check.json").write_text(json.dumps(result, indent=1))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("pairs", help="make a batch of takes that were drawn before")
    making.add_argument("takes", type=Path, help="a data set by recipes/align/prefer.py")
    making.add_argument("batch", type=Path)
    making.add_argument("--pairs", type=int, default=200)
    judging = commands.add_parser("judge", help="give verdicts by the page's API")
    judging.add_argument("page", help="its address")
    judging.add_argument("--verdicts", type=int, default=200)
    checking = commands.add_parser("check", help="is the tuned adapter preferred in fresh pairs?")
    checking.add_argument("adapter", help="the tuned one: its folder")
    checking.add_argument("--lora", action="store_true", help="it is a LoRA on top of theory")
    checking.add_argument("--pairs", type=int, default=40)
    checking.add_argument("--seconds", type=float, default=5.12)
    checking.add_argument("--out", type=Path, default=Path("out/listener"))
    args = parser.parse_args()
    if args.command == "pairs":
        print(f"{make_pairs(args.takes, args.batch, args.pairs)} pairs in {args.batch}")
    elif args.command == "judge":
        print(f"{judge(args.page, args.verdicts)} verdicts")
    else:
        mix = args.adapter if args.lora else None
        found = check(args.adapter, mix, args.pairs, args.seconds, args.out)
        print(json.dumps({name: value for name, value in found.items() if name != "scores"}))


if __name__ == "__main__":
    main()
