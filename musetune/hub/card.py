"""The model card of an adapter's folder: its identity, its training, what was measured, its sounds and pictures."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from musetune.formats.json_object import number_field, object_field, text_field, texts_field
from musetune.hub.contents import AUDIO, kind_of
from musetune.hub.licences import Licence, derive_licence
from musetune.hub.listing import folder_size, read_json
from musetune.symbols.json_values import JsonObject


class Base(NamedTuple):
    """A base as the Hub knows it: its id, its licence as the Hub spells it, and that licence in words."""

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
    "Unknown: whatever the licence of the base, {base}, allows: an adapter is made from its weights and inherits it. "
    "This card cannot tell which it is."
)
HEAR = """```python
from musetune import MuseTunePipeline
from musetune.audio import save_audio

pipe = MuseTunePipeline.from_pretrained("{base}", adapter="{adapter}"{revision})
output = pipe("{prompt}", harmonic_progression="ii7 V7 Imaj7 Imaj7", key="Bb major", bpm=120, duration_seconds=8)
save_audio("out.wav", output.audios[0], output.sampling_rate)
```"""
WHAT = {
    "theory": "Makes {base}, a text-to-music diffusion model, follow a lead sheet: its chords, key, meter and beats.",
    "lora": (
        "Gives {base} the sound of {sound}, stacked on a theory adapter that makes it follow a lead sheet's chords, "
        "key, meter and beats."
    ),
    "few steps": (
        "Lets {base} with the theory adapter {theory} play in {steps} steps of one pass, without guidance, what else "
        "takes 20 of two; stacked beside any genre adapter. Scheduler and steps are set while it is loaded."
    ),
}
KINDS = ("theory", "lora")
TITLES = {"theory": "theory adapter", "lora": "genre adapter", "few steps": "adapter for few steps"}


@dataclass(frozen=True)
class Identity:
    """What musetune.json says of an adapter, for its card: names as anybody may read them."""

    kind: str
    name: str
    genre: str | None
    base: str
    theory: str | None
    steps: int | None = None  # of an adapter for few steps

    @property
    def what(self) -> str:
        """Which of WHAT it is."""
        return self.kind if self.steps is None else "few steps"


def base_of(name: str) -> Base:
    """Return id and licence of a base.

    Args:
        name: as an adapter's musetune.json gives it: "nano", a Hub id, or a folder's name.
    """
    if name == "nano":
        return NANO
    repo_id = name if name.count("/") == 1 and not name.startswith((".", "/", "~")) else None
    if repo_id and repo_id.startswith("cvssp/audioldm2"):
        return Base(repo_id, "cc-by-nc-sa-4.0", NON_COMMERCIAL.format(base=repo_id))
    return Base(repo_id, None, UNKNOWN.format(base=Path(name).name if repo_id is None else repo_id))


def card(
    folder: str | Path, *, repo_id: str | None = None, revision: str | None = None, license: str | None = None
) -> str:
    """Write the model card of an adapter's folder: YAML for the Hub, then words, tables, sounds and a snippet to run.

    The card says what musetune.json says (kind, name, genre, base, theory), and what training.json, results.json, audio
    and PNG files, and
    notes.md (what only a person can say) say where they are.

    Args:
        folder: an adapter's.
        repo_id: the repository where it will lie, for the snippet and the players.
        revision: the branch there; default: main.
        license: of the adapter, as the Hub spells it; default: what follows from its base and its music, "unknown"
            where that cannot be told.

    Returns:
        The text of README.md.

    Raises:
        FileNotFoundError: without musetune.json.
        ValueError: for a folder without adapter, and for a file whose fields are not what they should be; it names file
        and field.

    Example:
        >>> from musetune.hub import card
        >>> from musetune.hub.locate import find_adapter
        >>> card(find_adapter("theory"), repo_id="me/theory").splitlines()[1]
        'base_model: musetune/nano'
    """
    folder = Path(folder)
    if kind_of(folder) not in KINDS:
        raise ValueError(f"{folder} holds no adapter: pipe.save_adapter(folder) writes one")
    base, identity = _identity(folder)
    licence = _licence(folder, base) if license is None else Licence(license, f"{license}, as its author states.")
    notes = folder / "notes.md"
    parts = [
        f"---\n{_front_matter(identity, base, licence.name, folder)}\n---",
        f"# {identity.name}: a MuseTune {TITLES[identity.what]}",
        _summary(identity, folder),
        "## Play it\n\n`pip install musetune`, then\n\n" + _snippet(identity, repo_id or identity.name, revision),
        *_media(folder, repo_id, revision or "main"),
        *_training(folder / "training.json", identity),
        *([notes.read_text(encoding="utf-8").strip()] if notes.is_file() else []),
        *_adherence(folder / "results.json"),
        f"## Licence\n\n{licence.reason}",
    ]
    return "\n\n".join(parts) + "\n"


def _identity(folder: Path) -> tuple[Base, Identity]:
    path = folder / "musetune.json"
    metadata = read_json(path)
    if not metadata:
        raise FileNotFoundError(
            f"{folder} has no musetune.json, which says what base it is for: pipe.save_adapter(folder) writes it; or "
            f"write README.md yourself"
        )
    kind, name, genre, base_name, theory = (
        text_field(metadata, key, str(path)) for key in ("kind", "name", "genre", "base", "theory")
    )
    if kind not in KINDS or not base_name:
        raise ValueError(
            f"{path} says kind={kind!r} and base={base_name!r}: it needs one of {', '.join(KINDS)}, and a base"
        )
    base = base_of(base_name)
    if base.repo_id is None:
        base_name = Path(base_name).name  # where it lies on this machine is nobody's business
    steps = number_field(object_field(metadata, "sampling", str(path)), "steps", str(path))
    own_name = name or folder.resolve().name
    return base, Identity(kind, own_name, genre, base_name, theory, None if steps is None else int(steps))


def licence_of(folder: str | Path) -> Licence:
    """Return the licence that follows from an adapter's base and music, and why it is that one.

    Raises as `card` does.
    """
    folder = Path(folder)
    return _licence(folder, _identity(folder)[0])


def _licence(folder: Path, base: Base) -> Licence:
    path = folder / "training.json"
    data = object_field(read_json(path), "data", str(path))
    return derive_licence(base.licence, base.reason, texts_field(data, "licences", str(path)))


def _front_matter(identity: Identity, base: Base, licence: str, folder: Path) -> str:
    """Return what the Hub reads, through huggingface_hub's own writer."""
    from huggingface_hub import ModelCardData

    tags = ["musetune", "music", "chords", "audioldm2", "adapter", *(["lora"] if identity.kind == "lora" else [])]
    data: JsonObject = {"library_name": "diffusers", "pipeline_tag": "text-to-audio", "license": licence}
    if base.repo_id is not None:
        data |= {"base_model": base.repo_id, "base_model_relation": "adapter"}
    data["tags"] = [*tags, *([identity.genre] if identity.genre else [])]
    widgets = [{"text": _prompt_of(folder, sound), "output": {"url": sound}} for sound in _files(folder, AUDIO)]
    data |= {"widget": widgets} if widgets else {}
    return ModelCardData(**data).to_yaml()


def _summary(identity: Identity, folder: Path) -> str:
    parameters, mb = folder_size(folder)
    sound, theory = identity.genre or identity.name, identity.theory or "theory"
    what = WHAT[identity.what].format(base=identity.base, sound=sound, theory=theory, steps=identity.steps)
    return f"{what} {parameters / 1e6:.2f} M parameters, {mb:.1f} MB of safetensors."


def _snippet(identity: Identity, adapter: str, revision: str | None) -> str:
    pinned = "" if revision is None else f', adapter_revision="{revision}"'
    prompt = f"{identity.genre} band" if identity.genre else "warm jazz trio"
    return HEAR.format(base=identity.base, adapter=adapter, revision=pinned, prompt=prompt)


def _media(folder: Path, repo_id: str | None, revision: str) -> list[str]:
    """Return players and pictures. The Hub's page needs a player's whole address."""
    from huggingface_hub import constants

    stem = "" if repo_id is None else f"{constants.ENDPOINT}/{repo_id}/resolve/{revision}/"
    players = [
        f'{html.escape(_prompt_of(folder, name), quote=False)}\n\n<audio controls src="{stem}{quote(name)}"></audio>'
        for name in _files(folder, AUDIO)
    ]
    pictures = [f"![{html.escape(Path(name).stem)}]({quote(name)})" for name in _files(folder, (".png",))]
    return ["## Hear it, see it", *players, *pictures] if players or pictures else []


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix.lower() in suffixes)


def _prompt_of(folder: Path, sound: str) -> str:
    """Return the prompt in the report that `musetune generate --report` wrote beside a sound, else its name."""
    path = (folder / sound).with_suffix(".json")
    prompt = text_field(object_field(read_json(path), "settings", str(path)), "prompt", str(path))
    return " ".join((prompt or Path(sound).stem).split())


def _training(path: Path, identity: Identity) -> list[str]:
    """Return what training.json says, as a list; nothing without one."""
    record = read_json(path)
    if not record:
        return []
    source = str(path)
    config, data, versions = (object_field(record, key, source) for key in ("config", "data", "versions"))
    clips, rows, row_s = (number_field(data, key, source) for key in ("clips", "rows", "row_s"))
    steps, batch = number_field(record, "step", source), number_field(config, "train_batch_size", source)
    genre = text_field(config, "genre", source)
    lines = []
    if clips is not None:
        length = "" if rows is None or row_s is None else f" of {rows * row_s:.2f} s"
        lines.append(f"{clips:,} clips{length}" + (f" of the genre {genre}" if genre else ""))
    songs, minutes = number_field(data, "songs", source), number_field(data, "minutes", source)
    if songs is not None and minutes is not None:
        lines.append(f"{songs:,} songs, {minutes} minutes of music, transposed copies not counted")
    lines.append(f"licence of the music: {', '.join(texts_field(data, 'licences', source)) or 'unknown'}")
    if steps:
        lines.append(f"{steps:,} steps" + ("" if batch is None else f" of {batch} clips each"))
    if identity.theory:
        lines.append(f"with the theory adapter {identity.theory} frozen beneath it")
    for words, key in (("LoRA of rank {}", "rank"), ("learning rate {}", "learning_rate"), ("seed {}", "seed")):
        value = number_field(config, key, source)
        lines += [] if value is None else [words.format(value)]
    if versions:
        lines.append(", ".join(f"{name} {text_field(versions, name, source)}" for name in versions))
    items = "\n".join(f"- {line}" for line in lines)
    return [f"## What it was trained on\n\n{items}\n\n`training.json` has every setting."]


def _adherence(path: Path) -> list[str]:
    """Return the table of results.json, in per cent, with its floors and ceilings; nothing without one."""
    results, source = read_json(path), str(path)
    table = object_field(results, "table", source)
    columns = {name: cells for name in table if (cells := object_field(table, name, source))}
    if not columns:
        return []
    measures = list(dict.fromkeys(measure for cells in columns.values() for measure in cells))
    rows = [[measure, *(_cell(cells, measure, source) for cells in columns.values())] for measure in measures]
    lines = ["| " + " | ".join(row) + " |" for row in [["", *columns], ["---"] * (len(columns) + 1), *rows]]
    if distances := object_field(results, "frechet", source):
        lines.append(
            "| Fréchet distance | " + " | ".join(_distance(distances, name, source) for name in columns) + " |"
        )
    sheets, command = number_field(results, "n", source), text_field(results, "command", source)
    about = f"{sheets} lead sheets" if sheets else "lead sheets"
    origin = f" Made by `{command}`." if command else ""
    words = f"How well the audio of {about} follows them, in per cent, mean and 95 % interval."
    if listener := text_field(results, "listener", source):
        words += f" Heard by {listener}, on sheets of songs that were not trained on; no independent judge listened."
    if {"floor A", "floor B", "ceiling A", "ceiling B"} & columns.keys():
        words += (
            " A floor is what chance gives (A: the base without adapter; B: another song's audio), a ceiling what the "
            "measure gives a perfect player (A: a rendering; B: that through the base's codec)."
        )
    words += origin
    return ["## Adherence\n\n" + words + "\n\n" + "\n".join(lines)]


def _distance(distances: JsonObject, name: str, source: str) -> str:
    """Return the distance of MFCC statistics to those of renderings."""
    value = number_field(distances, name, source)
    return "—" if value is None else f"{value:.0f}"


def _cell(cells: JsonObject, measure: str, source: str) -> str:
    interval = object_field(cells, measure, source)
    mean, low, high = (number_field(interval, key, source) for key in ("mean", "low", "high"))
    if mean is None or low is None or high is None:
        return "—"
    return f"{100 * mean:.1f} ({100 * low:.0f}–{100 * high:.0f})"
