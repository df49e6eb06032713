"""The model card, made from what lies in an adapter's folder.

Its identity, its training, what was measured, its sounds and pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from musetune.hub.contents import AUDIO, kind_of
from musetune.hub.listing import folder_size, read_json


class Base(NamedTuple):
    """A base as the Hub knows it: its id, its licence as the Hub spells it, and in words."""

    repo_id: str | None
    licence: str | None
    reason: str


NANO = Base(
    "musetune/nano",
    "apache-2.0",
    "Apache-2.0, inherited from the base: nano, which ships with MuseTune under Apache-2.0 (`musetune/nano` is its "
    "name here), "
    "and an adapter is a part of it that was trained further.",
)
NON_COMMERCIAL = (
    "CC BY-NC-SA 4.0, inherited from the base: {base} is under CC BY-NC-SA 4.0, and an adapter is made from its "
    "weights, so its "
    "share-alike clause holds: not for commercial use, and what is made from this adapter is shared under the same "
    "licence."
)
UNKNOWN = (
    "Whatever the licence of the base, {base}, allows: an adapter is made from its weights and inherits it. This card "
    "cannot tell which it is."
)
HEAR = """```python
from musetune import MuseTunePipeline
from musetune.audio import save_audio

pipe = MuseTunePipeline.from_pretrained("{base}", adapter="{adapter}"{revision})
made = pipe("{prompt}", harmonic_progression="ii7 V7 Imaj7 Imaj7", key="Bb major", bpm=120, duration_seconds=8)
save_audio("out.wav", made.audios[0], made.sampling_rate)
```"""
WHAT = {
    "theory": "Makes {base}, a text-to-music diffusion model, follow a lead sheet: its chords, key, metre and beats.",
    "lora": "Gives {base} the sound of {sound}, stacked on a theory adapter that makes it follow a lead sheet's chords,"
    " key, metre and beats.",
}


def base_of(name: str) -> Base:
    """Id, licence and its reason of a base by the name that an adapter's ``musetune.json`` gives.

    "nano", a Hub id, or a folder's name.
    """
    if name == "nano":
        return NANO
    repo_id = name if name.count("/") == 1 and not name.startswith((".", "/", "~")) else None
    if repo_id and repo_id.startswith("cvssp/audioldm2"):
        return Base(repo_id, "cc-by-nc-sa-4.0", NON_COMMERCIAL.format(base=repo_id))
    return Base(repo_id, None, UNKNOWN.format(base=Path(name).name if repo_id is None else repo_id))


def card(folder: str | Path, *, repo_id: str | None = None, revision: str | None = None) -> str:
    """README.md of an adapter's folder: YAML for the Hub, then words, tables, sounds and a snippet to run.

    Reads musetune.json (kind, name, genre, base, theory), and training.json, results.json, audio and PNG files, and
    notes.md (what only a person can say) where they are. repo_id, revision: where it will lie, for the snippet and the
    players. Raises FileNotFoundError without musetune.json, ValueError for no adapter.
    """
    folder = Path(folder)
    if kind_of(folder) not in WHAT:
        raise ValueError(f"{folder} holds no adapter: pipe.save_adapter(folder) writes one")
    told = read_json(folder / "musetune.json")
    if not told:
        raise FileNotFoundError(
            f"{folder} has no musetune.json, which says what base it is for: pipe.save_adapter(folder) writes it; or "
            f"write README.md yourself"
        )
    base, name = base_of(told["base"]), told.get("name") or folder.resolve().name
    if base.repo_id is None:
        told["base"] = Path(told["base"]).name  # where it lies on this machine is nobody's business
    parts = [
        f"---\n{_front_matter(told, base, folder)}\n---",
        f"# {name}: a MuseTune {'genre' if told['kind'] == 'lora' else 'theory'} adapter",
        _what(told, folder),
        "## Play it\n\n`pip install musetune`, then\n\n" + _snippet(told, repo_id or name, revision),
        *_media(folder, repo_id, revision or "main"),
        *_training(read_json(folder / "training.json"), told),
        *([(folder / "notes.md").read_text().strip()] if (folder / "notes.md").is_file() else []),
        *_adherence(read_json(folder / "results.json")),
        f"## Licence\n\n{base.reason}",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(told: dict[str, Any], base: Base, folder: Path) -> str:
    """What the Hub reads, through huggingface_hub's own writer."""
    from huggingface_hub import ModelCardData

    genre = told.get("genre")
    tags = ["musetune", "music", "chords", "audioldm2", "adapter", *(["lora"] if told["kind"] == "lora" else [])]
    data: dict[str, Any] = {"library_name": "diffusers", "pipeline_tag": "text-to-audio", "license": base.licence}
    if base.repo_id is not None:
        data |= {"base_model": base.repo_id, "base_model_relation": "adapter"}
    data["tags"] = [*tags, *([genre] if genre else [])]
    widgets = [{"text": _prompt_of(folder, sound), "output": {"url": sound}} for sound in _files(folder, AUDIO)]
    data |= {"widget": widgets} if widgets else {}
    return ModelCardData(**data).to_yaml()


def _what(told: dict[str, Any], folder: Path) -> str:
    parameters, mb = folder_size(folder)
    does = WHAT[told["kind"]].format(base=told["base"], sound=told.get("genre") or told.get("name"))
    return f"{does} {parameters / 1e6:.2f} M parameters, {mb:.1f} MB of safetensors."


def _snippet(told: dict[str, Any], adapter: str, revision: str | None) -> str:
    pinned = "" if revision is None else f', adapter_revision="{revision}"'
    prompt = f"{told['genre']} band" if told.get("genre") else "warm jazz trio"
    return HEAR.format(base=told["base"], adapter=adapter, revision=pinned, prompt=prompt)


def _media(folder: Path, repo_id: str | None, revision: str) -> list[str]:
    """Players and pictures. The Hub's page needs a player's whole address."""
    from huggingface_hub import constants

    stem = "" if repo_id is None else f"{constants.ENDPOINT}/{repo_id}/resolve/{revision}/"
    players = [
        f'{_prompt_of(folder, name)}\n\n<audio controls src="{stem}{name}"></audio>' for name in _files(folder, AUDIO)
    ]
    pictures = [f"![{Path(name).stem}]({name})" for name in _files(folder, (".png",))]
    return ["## Hear it, see it", *players, *pictures] if players or pictures else []


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix.lower() in suffixes)


def _prompt_of(folder: Path, sound: str) -> str:
    """The prompt in the report that `musetune generate --report` writes beside a sound, else the sound's name."""
    report = read_json((folder / sound).with_suffix(".json"))
    return str(report.get("settings", {}).get("prompt") or Path(sound).stem)


def _training(story: dict[str, Any], told: dict[str, Any]) -> list[str]:
    """What training.json says, in a list; nothing without one."""
    if not story:
        return []
    config, data = story.get("config", {}), story.get("data", {})
    lines = []
    if "clips" in data:
        long = f" of {data['rows'] * data['row_s']:.2f} s" if {"rows", "row_s"} <= data.keys() else ""
        lines.append(f"{data['clips']:,} clips{long}{_some(config, ' of the genre {}', 'genre')}")
    if story.get("step"):
        lines.append(f"{story['step']:,} steps" + _some(config, " of {} clips each", "train_batch_size"))
    if told.get("theory"):
        lines.append(f"with the theory adapter {told['theory']} frozen beneath it")
    for text, key in (("LoRA of rank {}", "rank"), ("learning rate {}", "learning_rate"), ("seed {}", "seed")):
        lines += [line] if (line := _some(config, text, key)) else []
    if story.get("versions"):
        lines.append(", ".join(f"{name} {number}" for name, number in story["versions"].items()))
    listed = "\n".join(f"- {line}" for line in lines)
    return [f"## What it was trained on\n\n{listed}\n\n`training.json` has every setting."]


def _some(values: dict[str, Any], text: str, key: str) -> str:
    return "" if values.get(key) is None else text.format(values[key])


def _adherence(results: dict[str, Any]) -> list[str]:
    """The table of results.json, in per cent, with its floors and ceilings; nothing without one."""
    table = {condition: cells for condition, cells in (results.get("table") or {}).items() if cells}
    if not table:
        return []
    measures = list(dict.fromkeys(measure for cells in table.values() for measure in cells))
    rows = [[measure, *(_cell(cells.get(measure)) for cells in table.values())] for measure in measures]
    lines = ["| " + " | ".join(row) + " |" for row in [["", *table], ["---"] * (len(table) + 1), *rows]]
    if distances := results.get("frechet"):
        lines.append("| Fréchet distance | " + " | ".join(_distance(distances.get(c)) for c in table) + " |")
    about = f"{results['n']} lead sheets" if results.get("n") else "lead sheets"
    made = f" Made by `{results['command']}`." if results.get("command") else ""
    words = (
        f"How well the audio of {about} follows them, in per cent, mean and 95 % interval. A floor is what chance "
        f"gives (A: the base without adapter; "
        f"B: another song's audio), a ceiling what the measure gives a perfect player (A: a rendering; B: that through "
        f"the base's codec).{made}"
    )
    return ["## Adherence\n\n" + words + "\n\n" + "\n".join(lines)]


def _distance(value: float | None) -> str:
    """Of MFCC statistics, to renderings."""
    return "—" if value is None else f"{value:.0f}"


def _cell(value: dict[str, float] | None) -> str:
    if value is None:
        return "—"
    mean, low, high = (100 * value[key] for key in ("mean", "low", "high"))
    return f"{mean:.1f} ({low:.0f}–{high:.0f})"
