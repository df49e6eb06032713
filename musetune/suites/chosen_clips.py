"""Which clips of a folder show best what their lead sheets say: what our recognisers hear decides, genre by genre."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from musetune.audio import load_audio
from musetune.evaluation.provenance import hash_of
from musetune.evaluation.rewards import RequestedTake, find_rewards, measure_rewards, weighted_mean
from musetune.evaluation.whole_files import write_json
from musetune.processes import parallel_map
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement
from musetune.symbols.json_values import JsonObject

METADATA, MEASURED, CHOICE = "metadata.jsonl", "rewards.jsonl", "choice.json"


class MeasuredClip(NamedTuple):
    """A clip of a folder.

    folder: where it lies; row: its line of metadata.jsonl; rewards: by name, 0…1, None where nothing was asked.
    """

    folder: Path
    row: JsonObject
    rewards: dict[str, float | None]

    @property
    def genre(self) -> str:
        """As its row says; clips without one are a genre of their own."""
        return str(self.row.get("genre") or "")

    @property
    def name(self) -> str:
        """Name of its file among the chosen ones."""
        return f"{self.folder.name}-{str(self.row['file_name']).replace('/', '-')}"

    @property
    def audio(self) -> Path:
        """Where its sound is."""
        return self.folder / str(self.row["file_name"])

    @property
    def version(self) -> str:
        """Changes with its line of metadata.jsonl and with its file, so that nothing is taken for what it was."""
        state = self.audio.stat()
        return hash_of(json.dumps([self.row, state.st_size, state.st_mtime_ns], sort_keys=True).encode())


def measure_clips(
    folders: Sequence[Path], out: Path, weights: Mapping[str, float], workers: int
) -> Iterator[MeasuredClip]:
    """Measure each clip's rewards; what OUT/rewards.jsonl tells of the same clip is not measured again.

    Args:
        folders: Each with metadata.jsonl, whose rows have `file_name` and `lead_sheet`; of other names.
        out: Gets rewards.jsonl.
        weights: Of the rewards.
        workers: Processes; 0: this one.

    Raises:
        ValueError: Two folders or clips of one name, or a row without a lead sheet.
        FileNotFoundError: A folder has no metadata.jsonl, or a clip no file.
    """
    if len({folder.name for folder in folders}) < len(folders):
        raise ValueError(f"two of {', '.join(map(str, folders))} have the same name, and clips are named by it: rename")
    clips = [MeasuredClip(folder, row, {}) for folder in folders for row in read_rows(folder)]
    if twice := [name for name, number in Counter(clip.name for clip in clips).items() if number > 1]:
        raise ValueError(f"two clips would be called {twice[0]}: rename a folder or a file")
    out.mkdir(parents=True, exist_ok=True)
    known = {(name, version): rewards for name, version, rewards in map(json.loads, whole_lines(out / MEASURED))}
    measure = partial(measure_clip, weights=dict(weights))
    versions = {clip.name: clip.version for clip in clips}
    missing = [clip for clip in clips if (clip.name, versions[clip.name]) not in known]
    with (out / MEASURED).open("a", encoding="utf-8") as log:
        progress = tqdm(total=len(clips), initial=len(clips) - len(missing), unit="clip", desc="heard")
        for clip, rewards in zip(missing, parallel_map(measure, missing, workers), strict=True):
            log.write(json.dumps([clip.name, versions[clip.name], rewards]) + "\n")
            log.flush()
            known[clip.name, versions[clip.name]] = rewards
            progress.update()
        progress.close()
    yield from (clip._replace(rewards=known[clip.name, versions[clip.name]]) for clip in clips)


def read_rows(folder: Path) -> list[JsonObject]:
    """The lines of a folder's metadata.jsonl."""
    path = folder / METADATA
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {METADATA}: give what recipes/base/render_songs.py made, or the like")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if lost := [row for row in rows if not row.get("lead_sheet")]:
        raise ValueError(f"{path}: {lost[0].get('file_name')} has no lead_sheet to be compared with")
    return rows


def whole_lines(path: Path) -> list[str]:
    """The lines of a log; one that a kill cut short is cut off."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return whole.splitlines()


def measure_clip(clip: MeasuredClip, weights: Mapping[str, float]) -> dict[str, float | None]:
    """The rewards of one clip as it sounds."""
    wave, rate = load_audio(clip.audio)
    sheet = LeadSheet.from_json(clip.row["lead_sheet"])
    notes = clip.row.get("arrangement")
    arrangement = None if notes is None else Arrangement.from_json(notes, sheet.grid)
    take = RequestedTake(wave, rate, sheet, str(clip.row.get("text", "")), arrangement)
    return measure_rewards(take, find_rewards(weights))


def choose_clips(clips: Sequence[MeasuredClip], weights: Mapping[str, float], share: float) -> list[MeasuredClip]:
    """The best share of each genre's clips, by the weighted mean of their rewards, best first.

    Within a genre, since whole genres are hard to hear: what is learned from them shall not be the easy genres alone.

    Args:
        clips: Measured.
        weights: Of the rewards.
        share: Over 0, at most 1; at least one clip of a genre stays.

    Raises:
        ValueError: `share` is outside of that.

    Example:
        >>> heard = [MeasuredClip(Path("a"), {"file_name": str(n)}, {"chords": n / 4}) for n in range(4)]
        >>> [clip.name for clip in choose_clips(heard, {"chords": 1.0}, 0.5)]
        ['a-3', 'a-2']
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share} is outside of over 0 to 1")
    chosen: list[MeasuredClip] = []
    for _, own in groupby(sorted(clips, key=lambda clip: clip.genre), key=lambda clip: clip.genre):
        ranked = sorted(own, key=lambda clip: -weighted_mean(clip.rewards, weights))
        chosen += ranked[: max(1, round(share * len(ranked)))]
    return chosen


def write_clips(chosen: Sequence[MeasuredClip], out: Path, about: JsonObject) -> None:
    """Write the chosen clips as a folder like those that they are from: links where the file system has them.

    Args:
        chosen: What stays; files of an earlier choice that are not among it go.
        out: Gets the audio, metadata.jsonl and choice.json; one that `check_target` lets pass.
        about: For choice.json.
    """
    names = [clip.name for clip in chosen]
    earlier = json.loads((out / CHOICE).read_text(encoding="utf-8")).get("files", []) if (out / CHOICE).exists() else []
    for name in set(earlier) - set(names):
        (out / name).unlink(missing_ok=True)
    write_json(out / CHOICE, about | {"files": names})
    for clip in chosen:
        link_or_copy(clip.audio, out / clip.name)
    lines = [json.dumps({**clip.row, "file_name": clip.name}) for clip in chosen]
    scratch = out / f"{METADATA}.tmp"
    scratch.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    os.replace(scratch, out / METADATA)


def check_target(out: Path) -> None:
    """Raise ValueError for a folder that holds clips which were not chosen here, and which a choice would overwrite."""
    if (out / METADATA).exists() and not (out / CHOICE).exists():
        raise ValueError(f"{out} holds clips that were not chosen here: give another output_dir")


def link_or_copy(source: Path, target: Path) -> None:
    """Let a file appear at another place too; what is there already stays, if it is the same as the source is now."""
    now = source.stat()
    if target.exists():
        there = target.stat()
        if target.samefile(source) or (there.st_size, there.st_mtime_ns) == (now.st_size, now.st_mtime_ns):
            return
        target.unlink()
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        scratch = target.with_name(f".{target.name}")
        shutil.copy2(source, scratch)
        scratch.rename(target)
