"""What a collection takes to annotate and an adapter to train, computed from what was measured, at your own prices.

    python benchmarks/resources.py [--songs 10000 100000] [--minutes 4] [--cores 16] [--core-hour 0.05]
        [--gpu-hour 2] [--peak-tflops 165] [--utilisation 0.2] [--gb-month 0.02]

Every figure is an argument; `--help` lists them with where they come from. Nothing here is measured on a GPU.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, fields

SECONDS = 3600.0


@dataclass(frozen=True)
class Measured:
    """What benchmarks measured; change what is otherwise with you.

    Attributes:
        music_per_core: Seconds of music that a processor second annotates; `benchmarks/annotating.py`.
        efficiency: Share of a core's time that is left for songs where many work; the same.
        row_kb: Kilobytes of a song's row in Parquet; the same.
        row_mb_in_flight: Megabytes of a song's answer on its way, with latents.
        latent_kb: Kilobytes of a clip's latents on AudioLDM 2, 8 × 256 × 16 numbers in half precision.
        clip_seconds: Length of a clip.
        tflop_a_clip: Arithmetic of a training step for a clip on AudioLDM 2; `benchmarks/cached_training.py`.
        encoding_tflop: Arithmetic of encoding a clip and its prompt once; what training from waveforms adds, the same.
        genre_step_s: Seconds of a step of `recipes/configs/genre.yaml` on nano, on two cores.
        theory_step_s: The same of `recipes/configs/theory.yaml`.
    """

    music_per_core: float = 59.9
    efficiency: float = 1.0
    row_kb: float = 9.8
    row_mb_in_flight: float = 2.0
    latent_kb: float = 64.0
    clip_seconds: float = 10.24
    tflop_a_clip: float = 0.398
    encoding_tflop: float = 0.441
    genre_step_s: float = 1.2
    theory_step_s: float = 1.08


@dataclass(frozen=True)
class Prices:
    """Prices in any one currency; these are examples, not offers.

    Attributes:
        core_hour: Of a processor core for an hour.
        gpu_hour: Of a GPU for an hour.
        gb_month: Of a gigabyte of disk for a month.
    """

    core_hour: float = 0.05
    gpu_hour: float = 2.0
    gb_month: float = 0.02


@dataclass(frozen=True)
class AnnotationNeeds:
    """What annotating a collection takes. Sizes in GB of 10⁹ bytes."""

    core_hours: float
    hours: float
    tables_gb: float
    latents_gb: float
    music_gb: float
    object_store_gb: float
    cost: float


def annotation_needs(
    songs: int, minutes: float, cores: int, measured: Measured, prices: Prices, mb_a_minute: float = 1.9
) -> AnnotationNeeds:
    """What a collection takes: core hours = seconds of music / (seconds of music a core second × efficiency) / 3600.

    Args:
        songs: How many, 0 or more.
        minutes: Length of one.
        cores: That work at once, 1 or more.
        measured: What benchmarks measured.
        prices: What an hour costs.
        mb_a_minute: Size of the music's files; MP3 at 256 kbit/s takes 1.9.

    Raises:
        ValueError: A figure is outside its range.
    """
    check_positive(minutes=minutes, cores=cores, music_per_core=measured.music_per_core, efficiency=measured.efficiency)
    if songs < 0:
        raise ValueError(f"songs={songs} is less than 0")
    seconds = songs * minutes * 60
    core_hours = seconds / (measured.music_per_core * measured.efficiency) / SECONDS
    latents = seconds / measured.clip_seconds * measured.latent_kb * 1024 / 1e9
    tables = songs * measured.row_kb * 1024 / 1e9
    return AnnotationNeeds(
        core_hours=core_hours,
        hours=core_hours / cores,
        tables_gb=tables,
        latents_gb=latents,
        music_gb=songs * minutes * mb_a_minute / 1000,
        object_store_gb=cores * 8 * measured.row_mb_in_flight / 1000,  # two blocks of four songs a worker
        cost=core_hours * prices.core_hour + (tables + latents) * prices.gb_month,
    )


@dataclass(frozen=True)
class GpuNeeds:
    """What some arithmetic takes on GPUs."""

    pflop: float
    gpu_hours: float
    hours: float
    cost: float


def training_needs(
    steps: int,
    clips_a_step: int,
    peak_tflops: float,
    utilisation: float,
    gpus: int,
    measured: Measured,
    prices: Prices,
) -> GpuNeeds:
    """GPU hours = steps × clips × TFLOP a clip / (peak × utilisation) / 3600; n GPUs divide the hours by n at best.

    Args:
        steps: Of the optimiser.
        clips_a_step: That a step sees, on all GPUs together.
        peak_tflops: Of one GPU, as its maker promises it in the number format that is used.
        utilisation: Share of that which training reaches, over 0 to 1.
        gpus: How many.
        measured: The arithmetic of a clip.
        prices: What an hour costs.

    Raises:
        ValueError: A figure is outside its range.
    """
    check_positive(steps=steps, clips_a_step=clips_a_step, peak_tflops=peak_tflops, utilisation=utilisation, gpus=gpus)
    if utilisation > 1:
        raise ValueError(f"utilisation={utilisation:g} is more than 1: give a share, such as 0.3")
    return gpu_needs(steps * clips_a_step * measured.tflop_a_clip, peak_tflops, utilisation, gpus, prices)


def gpu_needs(tflop: float, peak_tflops: float, utilisation: float, gpus: int, prices: Prices) -> GpuNeeds:
    """GPU hours = TFLOP / (peak × utilisation) / 3600."""
    gpu_hours = tflop / (peak_tflops * utilisation) / SECONDS
    return GpuNeeds(tflop / 1000, gpu_hours, gpu_hours / gpus, gpu_hours * prices.gpu_hour)


def steps_for(clips: int, passes: float, clips_a_step: int) -> int:
    """Steps in which each clip is seen so often.

    Example:
        >>> steps_for(clips=234_000, passes=10, clips_a_step=16)
        146250
    """
    return math.ceil(clips * passes / clips_a_step)


def check_positive(**figures: float) -> None:
    """Raise ValueError for a figure that is not over 0."""
    for name, value in figures.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name}={value!r} is not a number over 0")


def table(head: list[str], rows: list[list[str]]) -> str:
    """Rows as Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in [head, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def annotation_table(songs: list[int], minutes: float, cores: int, measured: Measured, prices: Prices) -> str:
    """A row a collection."""
    rows = []
    for count in songs:
        needs = annotation_needs(count, minutes, cores, measured, prices)
        sizes = (needs.music_gb, needs.tables_gb, needs.latents_gb, needs.object_store_gb)
        rows.append(
            [
                f"{count:,}",
                f"{needs.core_hours:,.1f}",
                f"{needs.hours:,.2f}",
                *(f"{size:,.1f}" for size in sizes),
                f"{needs.cost:,.2f}",
            ]
        )
    head = ["songs", "core hours", f"hours on {cores} cores", "music, GB", "tables, GB", "latents, GB"]
    return table([*head, "object store, GB", "price"], rows)


def training_table(songs: list[int], minutes: float, asked: argparse.Namespace, measured: Measured) -> str:
    """The configuration that ships, and a pass count over each collection."""
    prices = Prices(asked.core_hour, asked.gpu_hour, asked.gb_month)
    place = (asked.peak_tflops, asked.utilisation, asked.gpus)
    rows: list[tuple[str, int, GpuNeeds | None]] = [(f"{asked.steps:,} steps, as `audioldm2.yaml`", asked.steps, None)]
    for count in songs:
        clips = round(count * minutes * 60 / measured.clip_seconds)
        encoding = gpu_needs(clips * measured.encoding_tflop, *place, prices)
        rows.append((f"encoding {count:,} songs once", 0, encoding))
        rows.append((f"{asked.passes:g} × {count:,} songs", steps_for(clips, asked.passes, asked.clips), None))
    lines = []
    for name, steps, known in rows:
        needs = known or training_needs(steps, asked.clips, *place, measured, prices)
        figures = (f"{needs.pflop:,.0f}", f"{needs.gpu_hours:,.1f}", f"{needs.hours:,.1f}", f"{needs.cost:,.0f}")
        lines.append([name, f"{steps:,}" if steps else "—", *figures])
    return table(["what", "steps", "PFLOP", "GPU hours", f"hours on {asked.gpus} GPU", "price"], lines)


def preparing_table(minutes: float, copies: int, measured: Measured) -> str:
    """What `musetune prepare --engine ray` has in the object store: latents of a song and its transposed copies."""
    clips = minutes * 60 / measured.clip_seconds * (1 + copies)
    song = clips * measured.latent_kb * 1024 / 1e6
    row = [f"{copies}", *(f"{song * songs:,.1f}" for songs in (1, 4, 8))]
    return table(["transposed copies", "a song, MB", "a block of four, MB", "two blocks of a worker, MB"], [row])


@dataclass(frozen=True)
class Option:
    """A way to an adapter of one's own.

    Attributes:
        name: What it is called.
        music: What it learns from.
        songs: That are annotated; 0 where the truth is known.
        steps: Of training.
        step_s: Seconds of a step on two cores; 0 where GPUs train.
        gpus: That train, and encode the songs before.
    """

    name: str
    music: str
    songs: int
    steps: int
    step_s: float = 0.0
    gpus: int = 0


def options(asked: argparse.Namespace, measured: Measured) -> list[Option]:
    """Options A to D of the roadmap."""
    clips = round(100_000 * asked.minutes * 60 / measured.clip_seconds)
    passes = steps_for(clips, asked.passes, asked.clips)
    return [
        Option("**A** your records on nano", "20 songs", 20, 300, measured.genre_step_s),
        Option("**B** a theory adapter on nano", "10,000 rendered clips", 0, 4_000, measured.theory_step_s),
        Option("**C** AudioLDM 2, one GPU", "10,000 songs", 10_000, asked.steps, gpus=1),
        Option("**D** AudioLDM 2, four GPUs", "100,000 songs", 100_000, passes, gpus=4),
    ]


def options_table(asked: argparse.Namespace, measured: Measured) -> str:
    """A row an option: hours of cores and GPUs, encoding included, and the price of both."""
    prices, rows = Prices(asked.core_hour, asked.gpu_hour, asked.gb_month), []
    for option in options(asked, measured):
        annotating = annotation_needs(option.songs, asked.minutes, asked.cores, measured, prices).core_hours
        training = option.steps * option.step_s * 2 / SECONDS  # two cores
        gpu = 0.0
        if option.gpus:
            clips = round(option.songs * asked.minutes * 60 / measured.clip_seconds)
            tflop = option.steps * asked.clips * measured.tflop_a_clip + clips * measured.encoding_tflop
            gpu = gpu_needs(tflop, asked.peak_tflops, asked.utilisation, option.gpus, prices).gpu_hours
        hours = training / 2 if option.step_s else gpu / option.gpus
        price = (annotating + training) * prices.core_hour + gpu * prices.gpu_hour
        figures = [f"{annotating:,.2f}", f"{option.steps:,}", f"{training:,.1f}", f"{gpu:,.1f}", f"{hours:,.1f}"]
        rows.append([option.name, option.music, *figures, f"{price:,.2f}"])
    head = ["option", "music", "annotating, core hours", "steps", "training, core hours", "GPU hours", "hours in all"]
    return table([*head, "price"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=int, nargs="+", default=[10_000, 100_000], help="sizes of collections")
    parser.add_argument("--minutes", type=float, default=4.0, help="length of a song")
    parser.add_argument("--cores", type=int, default=16, help="that annotate at once")
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--steps", type=int, default=50_000, help="of recipes/configs/audioldm2.yaml")
    parser.add_argument("--clips", type=int, default=16, help="a step sees, on all GPUs together")
    parser.add_argument("--passes", type=float, default=10.0, help="how often a training on a collection sees a clip")
    parser.add_argument("--peak-tflops", type=float, default=165.0, help="of a GPU; its maker's figure for bf16")
    parser.add_argument("--utilisation", type=float, default=0.2, help="share of that which training reaches")
    parser.add_argument("--copies", type=int, default=2, help="transposed ones of a song that musetune prepare makes")
    for kind in (Measured, Prices):
        for one in fields(kind):
            flag = "--" + one.name.replace("_", "-")
            parser.add_argument(flag, type=float, default=one.default, help=f"default {one.default:g}")
    asked = parser.parse_args()
    measured = Measured(**{one.name: getattr(asked, one.name) for one in fields(Measured)})
    prices = Prices(**{one.name: getattr(asked, one.name) for one in fields(Prices)})
    print(annotation_table(asked.songs, asked.minutes, asked.cores, measured, prices), end="\n\n")
    print(preparing_table(asked.minutes, asked.copies, measured), end="\n\n")
    print(training_table(asked.songs, asked.minutes, asked, measured), end="\n\n")
    print(options_table(asked, measured))


if __name__ == "__main__":
    main()
