"""An evaluation notices when something else is asked of a folder."""

from __future__ import annotations

import pytest
import torch

from musetune.evaluation import missing_judges, provenance
from musetune.models.nano import build_nano


@pytest.fixture(scope="module")
def pipe():  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    return build_nano("tiny")


def test_fingerprint_sees_every_weight_and_no_type() -> None:
    layer = torch.nn.Linear(3, 2).half()
    before = provenance.fingerprint(layer)
    assert provenance.fingerprint(layer.float()) == before
    with torch.no_grad():
        layer.bias[1] += 1e-3
    assert provenance.fingerprint(layer) != before


@pytest.mark.judge
@pytest.mark.skipif(bool(missing_judges()), reason=f"not installed: {', '.join(missing_judges())}")
def test_provenance_covers_all_that_audio_and_figures_depend_on(pipe, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    before = provenance.provenance(pipe)
    assert before["weights"].keys() >= {"unet", "vae", "vocoder", "text_encoder", "text_encoder_2", "language_model"}
    assert before == provenance.provenance(pipe)
    with torch.no_grad():
        next(pipe.text_encoder_2.parameters())[0] += 0.5
    monkeypatch.setattr(pipe, "scheduler", type(pipe.scheduler).from_config(pipe.scheduler.config, beta_end=0.5))
    monkeypatch.setattr(provenance, "versions", lambda: {"madmom": "9"})
    monkeypatch.setattr(provenance, "_analyser_files", list)
    now = provenance.provenance(pipe)
    assert {key for key in now if now[key] != before[key]} == {"weights", "scheduler", "judges", "analyser"}
    assert {key for key in now["weights"] if now["weights"][key] != before["weights"][key]} == {"text_encoder_2"}


def test_a_folder_of_other_settings_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    provenance.remember(tmp_path / "out", {"steps": 20, "judges": {"madmom": "1"}})
    provenance.remember(tmp_path / "out", {"steps": 20, "judges": {"madmom": "1"}})
    with pytest.raises(ValueError, match="made with another judges, more; give another folder"):
        provenance.remember(tmp_path / "out", {"steps": 20, "judges": {"madmom": "2"}, "more": 1})
