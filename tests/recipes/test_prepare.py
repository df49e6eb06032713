"""prepare.py as users run it, on a folder with all that a folder of music can hold."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi
import pytest
import torch
from small import REPOSITORY, SR, tones
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from musetune.audio import save_audio
from musetune.cli import main
from musetune.cli.prepare import semitones
from musetune.datasets import LatentDataset, file_preparer
from musetune.datasets import prepare as recipe
from musetune.datasets.bar_weights import SURE_SHARE, sure_share
from musetune.datasets.latent_encoder import LatentEncoder
from musetune.datasets.metadata import MetadataRow
from musetune.datasets.music_files import find_music
from musetune.datasets.slicing import NOTHING, SlicedFile, SliceJob, slice_or_reason
from musetune.models.nano import build_nano
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.symbols import LeadSheet
from musetune.training import load_tokens


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    build_nano("tiny").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], key="C major", bpm=120, duration_seconds=22, genre="pop")
    wave = tones(sheet, 22)
    (folder / "deep").mkdir()
    save_audio(folder / "told.flac", wave, SR)
    save_audio(folder / "deep" / "heard.mp3", wave, SR)
    save_audio(folder / "silent.wav", np.zeros(12 * SR, np.float32), SR)
    save_audio(folder / "short.ogg", wave[: 2 * SR], SR)
    (folder / "corrupt.mp3").write_bytes(b"ID3 no music at all" * 50)
    save_audio(folder / "mistold.wav", wave, SR)
    (folder / "notes.txt").write_text("not music")
    midi = pretty_midi.PrettyMIDI(initial_tempo=120)
    piano = pretty_midi.Instrument(0)
    for beat in range(24):
        for pitch in ((48, 60, 64, 67), (43, 59, 62, 67))[beat // 4 % 2]:
            piano.notes.append(pretty_midi.Note(100, pitch, beat * 0.5, beat * 0.5 + 0.45))
    midi.instruments.append(piano)
    midi.write(str(folder / "deep" / "song.mid"))
    rows = [
        {"file_name": "told.flac", "text": "a pop song", "lead_sheet": sheet.to_json(), "licence": "CC0"},
        {"file_name": "mistold.wav", "key": "H major"},
    ]
    rows.append({"file_name": "deep/gone.wav", "key": "C major"})
    (folder / "metadata.jsonl").write_text("\n\n".join(json.dumps(r) for r in rows) + "\n \n")
    return folder


def prepare(source: Path, out: Path, base: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPOSITORY / "recipes" / "prepare.py"), str(source), str(out), "--base", str(base)]
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    return subprocess.run([*command, *options], env=environment, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def prepared(source: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared")
    run = prepare(source, out, base, "--clip-seconds", "5.12", "--licence", "CC-BY-4.0", "--transpose")
    assert run.returncode == 0, run.stderr
    assert "metadata tells of files that" in run.stderr
    assert "does not hold: deep/gone.wav" in run.stderr
    return out


def test_bad_files_are_set_aside_with_the_reason(prepared: Path) -> None:
    lines = [json.loads(line) for line in (prepared / "quarantine.jsonl").read_text().splitlines()]
    reasons = {line["file"]: line["reason"] for line in lines}
    assert reasons.keys() == {"corrupt.mp3", "mistold.wav", "short.ogg", "silent.wav"}
    assert "cannot be decoded" in reasons["corrupt.mp3"]
    assert "too short: 2.00 s" in reasons["short.ogg"]
    assert "silent" in reasons["silent.wav"]
    assert "H major" in reasons["mistold.wav"]


def test_clips_are_complete_and_start_on_downbeats(prepared: Path, source: Path) -> None:
    data = LatentDataset(prepared)
    assert {c.file for c in data.clips} == {"told.flac", "deep/heard.mp3", "deep/song.mid"}
    told = [c for c in data.clips if c.file == "told.flac"]
    assert [c.offset_s for c in told] == pytest.approx([0, 6, 12]) or len(told) >= 3
    assert all(c.offset_s % 2 == pytest.approx(0, abs=1e-6) for c in told)  # bars of 2 s
    assert {(c.text, c.genre, c.licence) for c in told} == {("a pop song", "pop", "CC0")}
    assert {c.licence for c in data.clips if c.file != "told.flac"} == {"CC-BY-4.0"}
    import hashlib

    assert told[0].sha256 == hashlib.sha256((source / "told.flac").read_bytes()).hexdigest()
    whole = LeadSheet.from_progression(["I", "V", "vi", "IV"], key="C major", bpm=120, duration_seconds=22, genre="pop")
    for clip in told:
        assert LeadSheet.from_json(clip.lead_sheet) == whole.crop(clip.offset_s, 5.12)


def test_analysis_fills_what_nobody_told(prepared: Path) -> None:
    clip = next(c for c in LatentDataset(prepared).clips if c.file == "deep/heard.mp3")
    sheet = LeadSheet.from_json(clip.lead_sheet)
    assert sheet.bpm == pytest.approx(120, rel=0.04)
    assert {span.chord.root for span in sheet.chords} & {"C", "G", "A", "F"}
    assert "medium tempo" in clip.text or "120 bpm" in clip.text


def test_latents_and_embeddings_are_the_bases(prepared: Path, source: Path, base: Path) -> None:
    data = LatentDataset(prepared)
    encoder = LatentEncoder(str(base), 5.12, "cpu")
    i, clip = next((i, c) for i, c in enumerate(data.clips) if c.file == "told.flac" and c.offset_s > 1)
    from musetune.audio import load_audio

    wave = load_audio(source / "told.flac", SR)[0][round(clip.offset_s * SR) :][: round(5.12 * SR)]
    pipe = encoder.pipe
    mel = encoder.frontend(torch.from_numpy(wave)[None])
    with torch.no_grad():
        latent = pipe.vae.encode(mel).latent_dist.mode() * pipe.vae.config.scaling_factor
        states, mask, generated = pipe.encode_prompt(clip.text, "cpu", 1, False)
    assert data.latents[i].shape == (data.info.channels, data.info.rows, data.info.cols)
    torch.testing.assert_close(data.latents[i].float(), latent[0], rtol=2e-3, atol=2e-3)
    assert data.info.rows * data.info.row_s == pytest.approx(5.12)
    text = data.texts[clip.text]
    torch.testing.assert_close(text.prompt_embeds.float(), states[0], rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(text.generated_prompt_embeds.float(), generated[0], rtol=2e-3, atol=2e-3)
    assert torch.equal(text.attention_mask.long(), mask[0].long())
    assert "" in data.texts


def test_running_again_adds_nothing_and_tokens_are_stored(prepared: Path, source: Path, base: Path) -> None:
    before = (prepared / "clips.jsonl").read_bytes(), (prepared / "quarantine.jsonl").read_bytes()
    tokens = list(prepared.glob("tokens-*.safetensors"))
    assert len(tokens) == 1
    recipe.prepare(source, prepared, base=str(base), clip_seconds=5.12, workers=0, transpose=())
    assert before == ((prepared / "clips.jsonl").read_bytes(), (prepared / "quarantine.jsonl").read_bytes())
    assert list(prepared.glob("tokens-*.safetensors")) == tokens
    load_tokens(LatentDataset(prepared), 4)
    assert list(prepared.glob("tokens-*.safetensors")) == tokens
    with pytest.raises(ValueError, match="rows="):
        recipe.prepare(source, prepared, base=str(base))


def job(path: Path, metadata: dict | None = None, transpose: tuple[int, ...] = ()) -> SliceJob:
    row = MetadataRow(metadata or {}, "metadata.jsonl, line 1")
    return SliceJob(path, path.name, row, clip_seconds=5.12, transpose=transpose, licence=None)


def test_transposed_copies_move_sound_chords_and_key(tmp_path: Path) -> None:
    import librosa

    sheet = LeadSheet.from_progression(["I", "IV"], key="C major", bpm=120, duration_seconds=18)
    save_audio(tmp_path / "chords.wav", tones(sheet, 18, clicks=0.0), SR)
    told = job(tmp_path / "chords.wav", metadata={"lead_sheet": sheet.to_json()}, transpose=(-3,))
    result = slice_or_reason(told)
    assert result.reason is None
    plain = [(c, w) for c, w in zip(result.clips, result.waves, strict=True) if c.transpose == 0]
    moved = [(c, w) for c, w in zip(result.clips, result.waves, strict=True) if c.transpose == -3]
    assert len(plain) == len(moved) == 3
    assert len({c.id for c, _ in plain + moved}) == 6
    for (a, wave), (b, moved_wave) in zip(plain, moved, strict=True):
        assert LeadSheet.from_json(b.lead_sheet) == LeadSheet.from_json(a.lead_sheet).transpose(-3)
        chroma, moved_chroma = (librosa.feature.chroma_stft(y=w, sr=SR).mean(1) for w in (wave, moved_wave))
        assert np.argmax([np.corrcoef(np.roll(chroma, s), moved_chroma)[0, 1] for s in range(12)]) == 9


@pytest.mark.parametrize(
    ("metadata", "check"),
    [
        ({"key": "A minor"}, lambda s: str(s.key) == "A minor"),
        ({"genre": "rock"}, lambda s: s.genre == "rock"),
        ({"bpm": 60}, lambda s: s.bpm == pytest.approx(60, rel=0.04)),
        (
            {"chords": "| D | A |", "key": "D major", "bpm": 120},
            lambda s: {c.chord.root for c in s.chords} == {"D", "A"} and str(s.key) == "D major" and s.bpm == 120,
        ),
        ({"chords": "| Em | % |"}, lambda s: {c.chord.root for c in s.chords} == {"E"}),
        ({"time_signature": "3/4"}, lambda s: str(s.meter) == "3/4" and np.diff(s.downbeats())[0] == 3),
    ],
    ids=["key", "genre", "bpm", "progression", "chords", "meter"],
)
def test_metadata_overrides_analysis(source: Path, metadata: dict, check) -> None:  # type: ignore[no-untyped-def]
    result = slice_or_reason(job(source / "told.flac", metadata=metadata))
    assert result.reason is None
    assert all(check(LeadSheet.from_json(clip.lead_sheet)) for clip in result.clips)


@pytest.mark.parametrize(
    ("words", "transpose"),
    [([], (-2, 3)), (["--transpose"], ()), (["--transpose", "-5", "+1", "--workers", "0"], (-5, 1))],
    ids=["default", "none", "some"],
)
def test_two_words_suffice_and_songs_are_moved_by_default(
    words: list[str], transpose: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict] = []
    monkeypatch.setattr(recipe, "prepare", lambda *args, **options: calls.append({"args": args, **options}))
    monkeypatch.setattr(sys, "argv", ["musetune", "prepare", "SRC", "OUT", *words])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    assert calls[0]["args"] == (Path("SRC"), Path("OUT"))
    assert (calls[0]["base"], calls[0]["transpose"]) == ("nano", transpose)


def test_semitones_are_whole() -> None:
    with pytest.raises(ValueError, match="give whole semitones"):
        semitones("1.5")


def test_silent_stretches_are_left_out(tmp_path: Path) -> None:
    sheet = LeadSheet.from_progression(["I"], key="C major", bpm=120, duration_seconds=18)
    wave = tones(sheet, 18)
    wave[6 * SR : 12 * SR] = 0
    save_audio(tmp_path / "gap.wav", wave, SR)
    result = slice_or_reason(job(tmp_path / "gap.wav", metadata={"lead_sheet": sheet.to_json()}))
    assert [c.offset_s for c in result.clips] == pytest.approx([0, 12])


def test_interrupted_and_run_again_is_the_same(
    source: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = shutil.copytree(source, tmp_path / "audio", ignore=shutil.ignore_patterns("*.mid"))

    def run(out: Path) -> None:
        recipe.prepare(audio, out, base=str(base), clip_seconds=5.12, workers=0, shard_size=1, transpose=())

    run(tmp_path / "whole")
    done: list[str] = []

    def stop_at_third(job: SliceJob) -> SlicedFile:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(job.file)
        return slice_or_reason(job)

    with monkeypatch.context() as patch:
        patch.setattr(file_preparer, "slice_or_reason", stop_at_third)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "twice")
    run(tmp_path / "twice")
    for name in ("clips.jsonl", "quarantine.jsonl"):
        assert (tmp_path / "twice" / name).read_text() == (tmp_path / "whole" / name).read_text()
    whole, twice = LatentDataset(tmp_path / "whole"), LatentDataset(tmp_path / "twice")
    assert torch.equal(whole.latents, twice.latents)


def small_source(folder: Path, *names: str | bytes) -> Path:
    """Files of one song, and metadata that says all of it: nothing is analysed."""
    folder.mkdir()
    sheet = LeadSheet.from_progression(["I", "V"], key="C major", bpm=120, duration_seconds=6)
    save_audio(folder / "first.wav", tones(sheet, 6), SR)
    content = (folder / "first.wav").read_bytes()
    (folder / "first.wav").unlink()
    for name in names:
        with open(os.path.join(os.fsencode(folder), os.fsencode(name)), "wb") as file:
            file.write(content)
    return folder


def say(folder: Path, *rows: dict | str) -> None:
    told = {"key": "C major", "bpm": 120, "chords": "| C | G |"}
    lines = [row if isinstance(row, str) else json.dumps(told | row) for row in rows]
    (folder / "metadata.jsonl").write_text("\n".join(lines))


def quick(source: Path, out: Path, base: Path, **options: Any) -> dict[str, list[dict]]:
    """Prepare in this process; the lines of clips.jsonl and quarantine.jsonl."""
    recipe.prepare(source, out, **({"base": str(base), "clip_seconds": 5.12, "workers": 0, "transpose": ()} | options))
    return {
        name: [json.loads(line) for line in (out / f"{name}.jsonl").read_text().splitlines()]
        for name in ("clips", "quarantine")
        if (out / f"{name}.jsonl").exists()
    }


def test_one_bad_row_sets_its_file_aside_and_no_other(base: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    source = small_source(tmp_path / "in", "a.wav", "b.wav", "c.wav", "d.wav")
    rows = (
        {"file_name": "a.wav"},
        {"file_name": "b.wav", "text": 1999},
        '{"file_name": "c.wav", oops}',
        "{}",
        {"file_name": "d.wav"},
    )
    say(source, *rows)
    made = quick(source, tmp_path / "out", base)
    assert {clip["file"] for clip in made["clips"]} == {"a.wav", "d.wav"}
    reasons = {line["file"]: line["reason"] for line in made["quarantine"]}
    assert reasons.keys() == {"b.wav", "c.wav"}
    assert "metadata.jsonl, line 2: text is 1999" in reasons["b.wav"]
    assert "metadata.jsonl, line 3: is no JSON" in reasons["c.wav"]
    assert "metadata.jsonl, line 4: has no file_name" in capsys.readouterr().err


def test_a_rerun_notices_other_metadata_and_options(base: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    source = small_source(tmp_path / "in", "a.wav", "b.wav", "c.wav")
    say(source, {"file_name": "a.wav"}, {"file_name": "b.wav"}, {"file_name": "c.wav", "key": "H major"})
    before = quick(source, tmp_path / "out", base)
    assert len(before["quarantine"]) == 1
    capsys.readouterr()
    assert quick(source, tmp_path / "out", base) == before
    err = capsys.readouterr().err
    assert "changed" not in err
    assert "begun" not in err
    say(source, {"file_name": "a.wav", "text": "new"}, {"file_name": "b.wav"}, {"file_name": "c.wav"})
    assert quick(source, tmp_path / "out", base, transpose=(2,), licence="CC0") == before
    err = capsys.readouterr().err
    assert "metadata has changed since a.wav, c.wav went into" in err
    assert "delete quarantine.jsonl" in err
    assert "begun with --transpose [], not [2]: the 3 files that are done stay" in err
    assert "begun with --licence None, not CC0" in err


def test_names_that_are_not_utf8_pass(base: Path, tmp_path: Path) -> None:
    source = small_source(tmp_path / "in", b"caf\xe9.wav", "déjà.wav")
    say(source, {"file_name": "déjà.wav"})
    (source / "metadata.csv").write_text("file_name,text,key,bpm,chords\ncaf\\xe9.wav,coffee,C major,120,| C | G |\n")
    out = tmp_path / "out"
    made = quick(source, out, base)
    assert {clip["file"]: clip["text"] for clip in made["clips"]} == {
        "caf\\xe9.wav": "coffee",
        "déjà.wav": made["clips"][-1]["text"],
    }
    assert quick(source, out, base) == made
    data = LatentDataset(out)
    assert load_tokens(data, 4).batch([0, 1]).frames.shape[0] == 2
    assert len(data.digest()) == 16


def test_what_is_no_music_is_left_out_with_a_word(base: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    source = small_source(tmp_path / "in", "a.wav", "._a.wav", "._b.mp3")
    say(source, {"file_name": "a.wav"})
    os.mkfifo(source / "pipe.wav")
    (source / "gone.flac").symlink_to("nowhere")
    made = quick(source, tmp_path / "out", base)
    assert {clip["file"] for clip in made["clips"]} == {"a.wav"}
    assert "quarantine" not in made
    err = capsys.readouterr().err
    assert "left out pipe.wav: a FIFO, not a file" in err
    assert "left out gone.flac: a link to nothing" in err
    assert "left out 2 files that macOS writes beside the real ones, such as ._a.wav" in err


def test_a_source_without_music_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere is no folder"):
        recipe.prepare(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "._a.wav").touch()
    with pytest.raises(ValueError, match=r"holds no .*\.wav · left out 1 files that macOS writes"):
        recipe.prepare(tmp_path, tmp_path / "out")


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = small_source(tmp_path / "in", "a.wav")
    (source / "closed").mkdir()
    scan = os.scandir

    def refuse(path: str) -> Any:  # tests may run as root, whom nothing is closed to
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    files, remarks = find_music(source)
    assert list(files) == ["a.wav"]
    assert len(remarks) == 1
    assert "left out the folder" in remarks[0]
    assert "closed: Permission denied" in remarks[0]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
def test_a_killed_run_leaves_no_processes(source: Path, base: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(REPOSITORY / "recipes" / "prepare.py"), str(source), str(tmp_path / "out")]
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    run = subprocess.Popen([*command, "--base", str(base), "--workers", "2"], env=os.environ | {"PYTHONPATH": path})
    deadline, workers = time.monotonic() + 120, []
    while not workers:
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.2)
        workers = [pid for pid in children(run.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    run.kill()
    run.wait()
    deadline = time.monotonic() + 4
    while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in workers):
        assert time.monotonic() < deadline, "workers outlive a killed run"
        time.sleep(0.1)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers, under numpy 2
def test_from_music_to_a_validated_adapter(prepared: Path, base: Path, tmp_path: Path) -> None:
    """prepare's data set trains; validation leaves sound, charts and scores."""
    from recipes import finetune

    options = {
        "pretrained_model_name_or_path": base,
        "train_data_dir": prepared,
        "output_dir": tmp_path,
        "cpu": "true",
        "max_train_steps": 2,
        "train_batch_size": 2,
        "validation_steps": 2,
        "num_validation_clips": 1,
        "rank": 2,
    }
    adapter = finetune.train(finetune.load_config([f"{k}={v}" for k, v in options.items()]))
    assert {p.name for p in (tmp_path / "validation" / "step-2").iterdir()} == {"adapter", "0.wav", "0.png"}
    events = EventAccumulator(str(next((tmp_path / "logs" / "finetune").glob("events*")).parent))
    events.Reload()
    assert {"loss", "validation/majmin", "validation/beat_f"} <= set(events.Tags()["scalars"])
    pipe = MuseTunePipeline.from_pretrained(base, adapter=adapter)
    made = pipe("a pop song", harmonic_progression="I V", bpm=100, duration_seconds=2, num_inference_steps=2)
    assert np.isfinite(made.audios).all()
    more = {
        "output_dir": tmp_path / "stems",
        "rank": 0,
        "theory_adapter": adapter,
        "stem_hidden": 8,
        "stem_channels": 8,
        "validation_steps": 1,
    }
    stems = finetune.train(finetune.load_config([f"{k}={v}" for k, v in (options | more).items()]))
    heard = tmp_path / "stems" / "validation" / "step-1"
    assert (heard / "0.wav").is_file()
    cards = [json.loads((f / "musetune.json").read_text())["unet"] for f in (adapter, heard / "adapter", stems)]
    assert cards[0] == cards[1] == cards[2]  # of the plain base, though the LoRA lies in its weights while stems train


def test_what_is_said_of_all_files_yields_to_metadata(tmp_path: Path) -> None:
    sheet = LeadSheet.from_progression(["I", "IV"], key="C major", bpm=120, duration_seconds=12)
    save_audio(tmp_path / "a.wav", tones(sheet, 12), SR)
    known = {"chords": "| C | F |", "bpm": 120, "key": "C major"}
    general = {"clip_seconds": 5.12, "transpose": (), "licence": "MIT", "genre": "folk", "caption": "my songs"}
    for said, genre, text, licence in (
        ({}, "folk", "my songs", "MIT"),
        ({"genre": "rock", "text": "loud", "licence": "CC0"}, "rock", "loud", "CC0"),
    ):
        row = MetadataRow(known | said, "metadata.jsonl, line 1")
        result = slice_or_reason(SliceJob(tmp_path / "a.wav", "a.wav", row, **general))
        assert result.reason is None
        assert {(c.genre, c.text, c.licence) for c in result.clips} == {(genre, text, licence)}
        findings = result.clips[0].provenance["findings"]
        assert (findings["key"], findings["bpm"], findings["duration_s"]) == ("C major", 120, 12)


def test_bars_carry_how_surely_they_are_heard_and_unsure_clips_are_left_out(tmp_path: Path) -> None:
    sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], key="C major", bpm=120, duration_seconds=22)
    save_audio(tmp_path / "a.wav", tones(sheet, 22), SR)
    job = SliceJob(tmp_path / "a.wav", "a.wav", NOTHING, 5.12, (), None, min_confidence=0.0)
    heard = slice_or_reason(job)
    assert heard.reason is None
    confidence = [sure for clip in heard.clips for _, _, sure in clip.bars or []]
    assert len(heard.clips) >= 3
    assert all(0 < sure < 1 for sure in confidence)
    for clip in heard.clips:
        assert clip.bars is not None
        assert clip.bars[0][0] == 0
        assert clip.bars[-1][1] <= 5.12
        assert all(before[1] == after[0] for before, after in zip(clip.bars, clip.bars[1:]))
    strict = slice_or_reason(replace(job, min_confidence=1.0))
    assert strict.reason is not None
    assert "heard too unsurely: none of its" in strict.reason
    assert "--min-confidence" in strict.reason
    shares = [sure_share(clip.bars or [], middle) for clip in heard.clips for middle in [float(np.median(confidence))]]
    some = slice_or_reason(replace(job, min_confidence=float(np.median(confidence))))
    assert len(some.clips) == sum(share >= SURE_SHARE for share in shares)
    assert some.unsure == len(heard.clips) - len(some.clips)
    told = MetadataRow({"lead_sheet": sheet.to_json()}, "metadata.jsonl, line 1")
    known = slice_or_reason(replace(job, row=told, min_confidence=1.0))
    assert {sure for clip in known.clips for _, _, sure in clip.bars or []} == {1.0}
    assert known.unsure == 0
