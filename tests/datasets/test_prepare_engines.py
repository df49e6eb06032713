"""Files for training, decoded, analysed and cut on either engine: the same clips, and the same reasons for none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small import SR, tones

from musetune.audio import save_audio
from musetune.datasets.engines import Engine
from musetune.datasets.prepare import NOTHING, SlicedFile, SliceJob, slice_files
from musetune.symbols import LeadSheet

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]  # Ray's of itself


def test_ray_cuts_as_processes_of_this_machine_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # a token in the home folder must not count
    sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], key="C major", bpm=120, duration_seconds=12, genre="pop")
    save_audio(tmp_path / "song.flac", tones(sheet, 12), SR)
    sheet.save(tmp_path / "score.mid")
    save_audio(tmp_path / "short.wav", tones(sheet, 2), SR)
    (tmp_path / "corrupt.mp3").write_bytes(b"ID3 no music at all" * 50)
    jobs = [SliceJob(path, path.name, NOTHING, 5.12, (2,), None) for path in sorted(tmp_path.iterdir())]

    def files(engine: Engine) -> dict[str, SlicedFile]:
        return {job.file: answer for job, answer in slice_files(jobs, 2, engine, None) if answer is not None}

    local, ray = files("local"), files("ray")
    assert local.keys() == ray.keys() == {"song.flac", "score.mid", "short.wav", "corrupt.mp3"}
    for name, answer in local.items():
        assert ray[name].clips == answer.clips
        assert np.array_equal(ray[name].waves, answer.waves)
        assert (ray[name].unsure, ray[name].reason) == (answer.unsure, answer.reason)
    assert len(local["song.flac"].clips) == 4, "two clips, and two of the copy two semitones up"
    assert "too short" in str(ray["short.wav"].reason)
