"""Where the time of a call goes: milliseconds of each part, the first call and one that finds prompts and merged
weights in the caches.

    python benchmarks/call_profile.py [--base nano] [--fast] [--genre jazz] [--steps 20] [--repeats 5] [--threads 2]
    python benchmarks/call_profile.py --base audioldm2 --fast --genre none --repeats 1 [--decoder] [--out FILE]

A clip of 10.24 s (--seconds) in 48 kHz stereo with a lead sheet, a genre and a report. Each part is timed where the
pipeline enters it; `everything else` is the rest of the call. Medians by the clock, and by the processor's time, which
does not see what else the machine does; the share is of the latter. Columns: `first` has empty caches, `again` is the
same call once more. Of the U-Net it is told how many passes of one row it made, and what one took. Several --steps are
profiled one after the other; with --out each is written as soon as it is there, and not measured again.

`--fast`: in 2 and in 4 steps of one pass; on nano by the adapter fast, on other bases, for which there is none, with
scales of 1: time does not depend on the weights. `--base audioldm2`: its true shapes with random weights
(realsize_pipeline.py). `--decoder`: with a tiny decoder of random weights in the place of autoencoder and vocoder.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch
from kept_rows import KeptRows
from realsize import Time, table
from realsize_pipeline import audioldm2
from torch import Tensor

import musetune.evaluation
from musetune.pipeline.decoding import decoder_for
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.pipeline.request import STEPS_WITH_MUSIC
from musetune.symbols import LeadSheet

SECONDS, FEW = 10.24, [2, 4]
REST, WHOLE, PASS = "everything else", "whole call", "one pass of one row"
COLUMNS = ("steps", "part", "first, ms", "again, ms", "first, processor ms", "again, processor ms", "share of again")


class Stopwatch:
    """Adds up the time that is spent in functions, of an inner one not what it calls of the outer."""

    def __init__(self) -> None:
        self.times: dict[str, Time] = {}
        self.passes = 0  # rows that the U-Net predicted
        self._inner = [Time(0.0, 0.0)]

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        """Count what happens inside as ``name``, without what is counted under other names there."""
        self._inner.append(Time(0.0, 0.0))
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            spent = Time(time.perf_counter() - wall, time.process_time() - cpu)
            inner = self._inner.pop()
            outer = self._inner[-1]
            self._inner[-1] = Time(outer.wall_s + spent.wall_s, outer.cpu_s + spent.cpu_s)
            before = self.times.get(name, Time(0.0, 0.0))
            self.times[name] = Time(
                before.wall_s + spent.wall_s - inner.wall_s, before.cpu_s + spent.cpu_s - inner.cpu_s
            )

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` with its time counted as ``name``."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.timing(name):
                return function(*args, **kwargs)

        return timed


@contextmanager
def watched(pipe: MuseTunePipeline, watch: Stopwatch) -> Iterator[None]:
    """A context in which ``watch`` counts the parts of the pipeline's calls."""
    sampling = pipe.adapter_manager.sampling  # of a LoRA for few steps, which brings its scheduler to each call
    places: list[tuple[str, object, str]] = [
        ("text encoder CLAP", pipe.text_encoder, "get_text_features"),
        ("text encoder T5", pipe.text_encoder_2, "forward"),
        ("GPT-2", pipe, "generate_language_model"),
        ("music: conditioner, keys, FiLM", pipe.adapter, "prepare"),
        ("LoRAs into the weights", pipe.adapter_manager.merged_weights, "prepare"),
        ("U-Net", pipe.unet, "forward"),
        ("scheduler", pipe.scheduler if sampling is None else type(sampling.scheduler(pipe.scheduler.config)), "step"),
        ("autoencoder", pipe.vae, "decode"),
        ("vocoder", pipe.vocoder, "forward"),
        ("tiny decoder", pipe.tiny_decoder, "features"),
        ("tiny decoder", pipe.tiny_decoder, "waves"),
        ("upsampler", pipe.upsampler, "upsample"),
        ("report", musetune.evaluation, "report"),
    ]
    with ExitStack() as undo:
        for name, owner, attribute in places:
            if owner is None:
                continue
            function, own = getattr(owner, attribute), attribute in vars(owner)
            setattr(owner, attribute, watch.around(name, function))
            undo.callback(setattr, owner, attribute, function) if own else undo.callback(delattr, owner, attribute)
            watch.times[name] = Time(0.0, 0.0)

        def count(_: object, args: tuple[Tensor, ...], kwargs: dict[str, Any]) -> None:
            watch.passes += len(args[0] if args else kwargs["sample"])

        # the U-Net's forward is replaced above; hooks run around it
        undo.callback(pipe.unet.register_forward_pre_hook(count, with_kwargs=True).remove)
        yield


def profile(pipe: MuseTunePipeline, call: Callable[[], object], repeats: int) -> dict[str, list[dict[str, Time]]]:
    """Times of each part in every call, of ``first`` calls and of calls ``again``."""
    found: dict[str, list[dict[str, Time]]] = {"first": [], "again": []}
    if repeats > 1:
        call()  # warm up
    for _ in range(repeats):
        pipe.prompt_cache.clear()
        pipe.adapter_manager.merged_weights.clear()
        for kind in found:
            watch = Stopwatch()
            with watched(pipe, watch), watch.timing(REST):
                call()
            total = [sum(times) for times in zip(*watch.times.values(), strict=True)]
            one = Time(*(seconds / max(1, watch.passes) for seconds in watch.times["U-Net"]))
            found[kind].append({**watch.times, f"{PASS} of {watch.passes}": one, WHOLE: Time(*total)})
    return found


def rows_of(found: dict[str, list[dict[str, Time]]], steps: int) -> list[list[object]]:
    """The table's rows: medians in milliseconds, and what share of a call again each part is."""
    rows: list[list[object]] = []
    middle = {
        (kind, part): [1e3 * median(one[part][i] for one in calls) for i in range(2)]
        for kind, calls in found.items()
        for part in calls[0]
    }
    whole = middle["again", WHOLE][1]  # of the processor's time
    for part in found["again"][0]:
        first, again = middle["first", part], middle["again", part]
        cells = [f"{x:.1f}" for x in (first[0], again[0], first[1], again[1])]
        rows.append([steps, part, *cells, f"{100 * again[1] / whole:.0f} %"])
    return rows


def main() -> None:
    import argparse

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="nano")
    parser.add_argument("--adapter", default="theory")
    parser.add_argument("--genre", default="jazz", help="a genre adapter; none: without")
    parser.add_argument("--steps", type=int, nargs="+", help="default 20, with --fast 2 4")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the clip; default 10.24")
    parser.add_argument("--fast", action="store_true", help="few steps of one pass")
    parser.add_argument("--decoder", action="store_true", help="a tiny decoder in the place of autoencoder and vocoder")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON file that keeps what is measured; default: nothing is kept")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.base == "audioldm2":
        pipe = audioldm2()
    else:
        pipe = MuseTunePipeline.from_pretrained(args.base, adapter=args.adapter)
    pipe.load_upsampler()
    if args.genre != "none":
        pipe.load_adapter(args.genre)
    options: dict[str, Any] = {}
    if args.fast and args.base == "nano":
        pipe.load_adapter("fast")
    elif args.fast:
        options |= {"guidance_scale": 1.0, "music_guidance_scale": 1.0}
    if args.decoder:
        pipe.load_decoder(decoder_for(pipe))
    pipe.set_progress_bar_config(disable=True)
    sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], key="C major", bpm=120, duration_seconds=args.seconds)
    options |= {"lead_sheet": sheet, "stereo": True, "return_report": True}
    told = {name: value for name, value in vars(args).items() if name not in ("out", "steps")}
    kept, rows = KeptRows(args.out, **told), [list(COLUMNS)]
    for steps in args.steps or (FEW if args.fast else [STEPS_WITH_MUSIC]):

        def measure(steps: int = steps) -> dict[str, Any]:
            print(f"{args.base}, {steps} steps", file=sys.stderr, flush=True)
            found = profile(pipe, lambda: pipe("pop", num_inference_steps=steps, **options), args.repeats)
            return {"rows": rows_of(found, steps)}

        rows += kept.row(f"{steps} steps", measure)["rows"]
    print(table(rows))


if __name__ == "__main__":
    main()
