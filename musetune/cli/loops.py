"""Sets of loops of `musetune generate --loops`: their files, and how they are made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.symbols import LeadSheet

OWN = ("num_waveforms_per_prompt", "loop", "duration_seconds")  # of a call; a set has its own
TAKES = (  # of what ``pipe.loop`` takes
    "num_inference_steps",
    "guidance_scale",
    "music_guidance_scale",
    "strength",
    "style_audio",
    "style_strength",
)


def loop_files(out: Path, count: int) -> list[Path]:
    """Return the files of a set: NAME-1.wav, NAME-2.wav and so on.

    Example:
        >>> [path.name for path in loop_files(Path("beat.wav"), 2)]
        ['beat-1.wav', 'beat-2.wav']
    """
    return [out.with_name(f"{out.stem}-{number}{out.suffix}") for number in range(1, count + 1)]


def write_loops(
    pipe: MuseTunePipeline,
    sheet: LeadSheet,
    prompts: Sequence[str],
    call: dict[str, Any],
    files: Sequence[Path],
    kind: str,
    seed: int,
    stereo: bool,
    lufs: float | None,
) -> dict[str, Any]:
    """Make loops that fit each other, one a file; each has a seed of its own, counted from ``seed``.

    Raises:
        ValueError: for an option of the call that a set does not take.
    """
    import numpy as np
    import torch

    from musetune.audio.export import export
    from musetune.audio.loudness import loudness_gain
    from musetune.pipeline.checks import reject_arguments

    others = {f"--{name.replace('_', '-')}": call[name] for name in call if name not in (*OWN, *TAKES)}
    reject_arguments(others, "is of one take: leave it out of a set of loops")
    if stereo and pipe.upsampler is None:
        pipe.load_upsampler()
    generators = [torch.Generator().manual_seed(seed + index) for index in range(len(files))]
    options = {name: call[name] for name in TAKES if name in call}
    made = pipe.loop(sheet, prompts, loops=len(files), stereo=stereo, generator=generators, **options)
    audios, rate = made.audios, made.sampling_rate
    # One gain for all, by the loudest: they stay as loud beside each other as they were made.
    gains = np.array([loudness_gain(audio, rate, lufs) for audio in audios])
    loudest = int(np.argmin(np.where(gains == 1.0, np.inf, gains)))  # 1.0: too soft to be measured
    names = ["" if index == loudest else str(index) for index in range(len(files))]
    export(dict(zip(names, files, strict=True)), dict(zip(names, audios, strict=True)), rate, kind, lufs)
    return {
        "loops": [
            {"audio": str(path), "prompt": prompts[index % len(prompts)], "seed": seed + index}
            for index, path in enumerate(files)
        ],
        "seconds": audios.shape[-1] / rate,
        "samples": audios.shape[-1],
        "sampling_rate": rate,
        "channels": 2 if stereo else 1,
    }
