"""Materials by package: what training may hear and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pretty_midi
import pytest

from musetune.datasets.materials import (
    HELD_OUT_KIT,
    HELD_OUT_MIDI,
    HELD_OUT_SOUNDFONT,
    MATERIALS,
    find_held_out,
    reject_held_out,
    select,
)

BUNDLED = Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Every material, empty."""
    for material in MATERIALS:
        path = material.locate(tmp_path)
        if material.kind == "soundfont":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        else:
            path.mkdir(parents=True)
    return tmp_path


def test_there_is_variety_and_one_of_each_kind_is_held_out() -> None:
    kinds = {kind: [m for m in MATERIALS if m.kind == kind] for kind in ("soundfont", "kit", "midi")}
    assert len(kinds["soundfont"]) >= 5
    assert len(kinds["kit"]) >= 5
    held_out = {kind: [m.name for m in some if m.held_out] for kind, some in kinds.items()}
    assert held_out == {"soundfont": [HELD_OUT_SOUNDFONT], "kit": [HELD_OUT_KIT], "midi": [HELD_OUT_MIDI]}
    assert len({material.name for material in MATERIALS}) == len(MATERIALS)


def test_copyleft_is_never_permissive() -> None:
    for material in MATERIALS:
        copyleft = ("GPL" in material.licence and "excepted" not in material.licence) or "SA" in material.licence
        assert material.permissive == (not copyleft), material


@pytest.mark.parametrize("kind", ["soundfont", "kit", "midi"])
def test_training_is_offered_nothing_that_is_held_out(cache: Path, kind: str) -> None:
    every, permissive = select(cache, kind, permissive=False), select(cache, kind)
    assert set(permissive) <= set(every)
    assert permissive
    reject_held_out(every)
    held_out = find_held_out(cache, kind)
    assert held_out is not None
    assert held_out not in every
    with pytest.raises(ValueError, match="is held out"):
        reject_held_out([*every, held_out])


def test_a_held_out_soundfont_is_known_under_any_name(tmp_path: Path) -> None:
    copy = tmp_path / "mine.sf2"
    copy.write_bytes(BUNDLED.read_bytes())
    with pytest.raises(ValueError, match=r"mine\.sf2 is held out"):
        reject_held_out([copy])
    with pytest.raises(ValueError, match="is held out"):
        reject_held_out([Path("elsewhere/TIMGM6MB.SF2")])


def test_what_is_not_unpacked_is_left_out(tmp_path: Path) -> None:
    assert select(tmp_path, "soundfont") == []
    assert find_held_out(tmp_path, "kit") is None
