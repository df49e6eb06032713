"""The analysis record is what docs/analysis_record.schema.json says.

A real record of a short clip, and records of scores.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from musetune import LeadSheet, analyze
from musetune.audio import synthesize
from tools import docs_record

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema, which jams brings, is not installed")
SCHEMA = json.loads(docs_record.SCHEMA.read_text())
KNOWN = {path for path, _ in docs_record.fields(SCHEMA)}


@pytest.fixture(scope="module")
def recording() -> dict[str, Any]:
    """The record of eight seconds of sound."""
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(initial_tempo=120)
    piano, drums = pretty_midi.Instrument(0), pretty_midi.Instrument(0, is_drum=True)
    for bar, pitches in enumerate([(48, 60, 64, 67), (43, 59, 62, 67), (45, 60, 64, 69), (41, 60, 65, 69)]):
        piano.notes += [pretty_midi.Note(90, pitch, 2 * bar, 2 * bar + 1.9) for pitch in pitches]
        drums.notes += [
            pretty_midi.Note(100, 36 if beat % 2 == 0 else 38, t := 2 * bar + beat / 2, t + 0.1) for beat in range(4)
        ]
    midi.instruments += [piano, drums]
    return analyze(synthesize(midi, 22050, duration_s=8), 22050).to_json()


@pytest.fixture(scope="module")
def score(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The record of a lead sheet that goes to another key."""
    chart = "| C | F | G7 | C | Am | D7 | G | C | D7 | G | C | D7 | G | Em | Am7 D7 | G |"
    sheet = LeadSheet.parse(chart, key="C major", bpm=100)
    return analyze(sheet.save(tmp_path_factory.mktemp("score") / "sheet.mid")).to_json()


def paths(value: Any, path: str = "") -> set[str]:
    """Every field of a record by its path; a dictionary with free keys, such as `scores`, is one field."""
    if isinstance(value, list):
        return set().union(*(paths(item, f"{path}[]") for item in value))
    if not isinstance(value, dict) or path.endswith(".scores"):
        return set()
    here = {f"{path}.{name}" if path else name for name in value}
    return here.union(*(paths(item, f"{path}.{name}" if path else name) for name, item in value.items()))


def test_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["recording", "score"])
def test_a_real_record_is_as_the_schema_says(kind: str, request: pytest.FixtureRequest) -> None:
    record = request.getfixturevalue(kind)
    json.dumps(record, allow_nan=False)
    jsonschema.Draft202012Validator(SCHEMA).validate(record)
    unknown = paths(record) - KNOWN
    assert not unknown, f"the record has fields that docs/analysis_record.schema.json does not name: {sorted(unknown)}"


def test_every_field_occurs_in_a_record(recording: dict[str, Any], score: dict[str, Any]) -> None:
    rare = {"harmonic_analysis.common_patterns[].known_as", "harmonic_analysis.common_patterns[].rotation", "remarks"}
    missing = KNOWN - paths(recording) - paths(score) - rare
    assert not missing, f"no record has these fields of the schema: {sorted(missing)}"


@pytest.mark.parametrize(
    ("path", "value"),
    [(("bpm",), -1), (("key_confidence",), 1.5), (("chords", 0, "function"), "happy"), (("schema",), 2)],
)
def test_a_wrong_value_is_refused(recording: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    wrong = copy.deepcopy(recording)
    place = wrong
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(wrong)


def test_a_missing_field_is_refused(recording: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError, match="'beats_s' is a required property"):
        jsonschema.Draft202012Validator(SCHEMA).validate({k: v for k, v in recording.items() if k != "beats_s"})


def test_page_is_fresh() -> None:
    assert Path(docs_record.PAGE).read_text() == docs_record.page(), "run python tools/docs_record.py"
