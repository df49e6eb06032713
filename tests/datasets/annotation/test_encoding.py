"""Songs as latents in a process apart: MIDI that is not quite right, and what crashes there."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from musetune.datasets.annotation import encoding
from musetune.datasets.annotation.annotator import AnnotationOptions, Annotator
from musetune.datasets.annotation.encoding import Encoding, EncodingJob, encode
from musetune.datasets.annotation.manifest import ManifestSong
from musetune.datasets.encoding_process import DEATH, EncodingProcess
from musetune.datasets.latent_encoder import EncoderOptions
from musetune.datasets.slicing import NOTHING, SliceJob, decode
from musetune.symbols import LeadSheet


class KeySignatureError(Exception):
    """As mido has one, which is no ValueError."""


def job_of(name: str = "a.mid") -> EncodingJob:
    stored: Any = SimpleNamespace(record={"source": {"sha256": "0"}}, lead_sheet=None)
    return EncodingJob(ManifestSong(name, name, {}, "0", 1, 1), stored, EncoderOptions("nano", 5.12, "cpu"))


def test_whatever_a_decoder_raises_is_the_songs_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "loaded_encoder", lambda *_: None)

    def fail(*_: object) -> None:
        raise errors.pop(0)

    monkeypatch.setattr(encoding, "encode_song", fail)
    errors: list[Exception] = [KeySignatureError("f8 00"), RuntimeError("a word"), EOFError(), AssertionError()]
    for _ in range(4):
        assert encode(job_of()).fault
    errors.append(MemoryError())
    with pytest.raises(MemoryError):
        encode(job_of())


def test_a_base_that_cannot_be_loaded_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("no such base")

    monkeypatch.setattr(encoding, "loaded_encoder", refuse)
    with pytest.raises(ValueError, match="no such base"):
        encode(job_of())


def test_midi_that_our_reader_mends_is_played(tmp_path: Path) -> None:
    """A key signature of eight flats, at which pretty_midi's own reader stops; and one that breaks off."""
    sheet = LeadSheet.parse("| C | F | G | C |", key="F major", bpm=120)
    data = sheet.save(tmp_path / "good.mid").read_bytes()
    key = data.index(b"\xff\x59\x02") + 3
    wrong = {"flats.mid": data[:key] + b"\xf8" + data[key + 1 :], "short.mid": data[:-20]}
    waves = {}
    for name, content in {"good.mid": data, **wrong}.items():
        (tmp_path / name).write_bytes(content)
        waves[name] = decode(SliceJob(tmp_path / name, name, NOTHING, 5.12, (), None), 0)
    assert np.array_equal(waves["flats.mid"], waves["good.mid"])
    assert np.abs(waves["short.mid"]).max() > 0


def crash(job: EncodingJob) -> Encoding:
    """What a test has the process do: a song of one name kills it."""
    if job.song.file == "poison.mid":
        os._exit(9)
    return Encoding({"caption": job.song.file})


@pytest.mark.slow
@pytest.mark.heavy
def test_a_song_that_kills_the_process_twice_is_set_aside_and_the_others_go_on() -> None:
    first, second = EncodingProcess(), EncodingProcess()
    assert first(crash, job_of("poison.mid")) is None
    good = second(crash, job_of("good.mid"))
    assert good is not None
    assert good.columns == {"caption": "good.mid"}
    first.close()
    first.close()
    assert second(crash, job_of("good.mid")) == good, "the other still needs it"
    second.close()
    assert EncodingProcess._worker is None


def test_an_annotation_says_why_there_are_no_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    annotator = Annotator(AnnotationOptions(latents="nano"))
    monkeypatch.setattr("musetune.datasets.annotation.annotator.row_of", lambda *_: {"file": "a.mid"})
    stored: Any = SimpleNamespace(record={"source": {"sha256": "0"}}, with_file=lambda name: None)
    monkeypatch.setattr(annotator, "_analyse", lambda song: stored)
    assert annotator.encoding is not None
    annotator.encoding.close()
    song = ManifestSong("/music/a.mid", "a.mid", {}, "0", 1, 1)
    for answer, fault in ((Encoding(fault=f"{song.path}: no chord"), "a.mid: no chord"), (None, DEATH)):
        annotator.encoding = lambda function, job, answer=answer: answer  # type: ignore[assignment]
        assert annotator(song).fault == fault
    annotator.worker.close()
