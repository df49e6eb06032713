"""What sections do: choruses louder than verses, the last of all loudest; kept in JSON, files and charts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from musetune.display.plan_chart import chart, sections_of
from musetune.planning.planner.section_purposes import section_purposes
from musetune.symbols import LeadSheet
from musetune.symbols.spans import SectionPurpose


def with_purposes() -> LeadSheet:
    sheet = LeadSheet.parse("[verse] | C | F | [chorus] | G | C | [verse] | C | F | [chorus] | G | C |")
    purposes = section_purposes([section.label for section in sheet.sections])
    sections = tuple(replace(one, purpose=purpose) for one, purpose in zip(sheet.sections, purposes, strict=True))
    return replace(sheet, sections=sections, style="bossa nova")


def test_choruses_are_louder_and_the_last_most() -> None:
    names = ["intro", "verse", "chorus", "verse", "chorus", "bridge", "chorus", "outro"]
    dynamics = [purpose.dynamics for purpose in section_purposes(names) if purpose is not None]
    assert len(dynamics) == len(names)
    assert dynamics[6] == max(dynamics) > dynamics[4] > dynamics[2] > dynamics[1]
    assert dynamics[0] < dynamics[1] > dynamics[7]
    drops = section_purposes(["build", "drop", "breakdown", "build", "drop"])
    assert drops[1] is not None
    assert drops[2] is not None
    assert drops[1].density > 0 > drops[2].density


def test_unknown_names_and_songs_of_one_section_have_none() -> None:
    assert section_purposes(["verse"]) == [None]
    assert section_purposes(["part one", "verse"])[0] is None


def test_purposes_and_style_are_kept_in_json_and_files(tmp_path: Path) -> None:
    sheet = with_purposes()
    assert LeadSheet.from_json(sheet.to_json()) == sheet
    for suffix in ("json", "mid", "musicxml", "jams"):
        assert LeadSheet.load(sheet.save(tmp_path / f"song.{suffix}")) == sheet, suffix
    assert sheet.slice(8, 16).sections[0].purpose == sheet.sections[1].purpose
    assert sheet.transpose(2).style == "bossa nova"
    plain = LeadSheet.parse("[A] | C | F |")
    assert "style" not in plain.to_json()
    assert len(plain.to_json()["sections"][0]) == 3


def test_a_chart_says_what_sections_do() -> None:
    lines = list(chart(with_purposes()))
    assert lines[1] == "verse    2 bars  | C | F |"
    assert lines[2] == "chorus   2 bars  | G | C |  louder, fuller, higher"
    assert lines[4] == "chorus   2 bars  as before  louder, fuller, higher"
    assert next(sections_of(with_purposes()))["purpose"] == {"dynamics": 0.0, "density": 0.0, "register": 0.0}


@pytest.mark.parametrize("value", [1.5, float("nan"), "loud", True])
def test_values_outside_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="-1–1"):
        SectionPurpose(dynamics=value)  # type: ignore[arg-type]


def test_a_bad_row_of_json_is_refused() -> None:
    data = with_purposes().to_json()
    data["sections"][0][3] = [0, 2, 0]
    with pytest.raises(ValueError, match="density=2"):
        LeadSheet.from_json(data)
    with pytest.raises(ValueError, match="style"):
        LeadSheet.from_json(with_purposes().to_json() | {"style": 7})
