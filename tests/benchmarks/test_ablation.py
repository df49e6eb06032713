"""The ablation: its table from scores that are there, which site is computed when, and what it refuses to go on
with.
"""

from __future__ import annotations

import json
from pathlib import Path

import ablation
import adapter_overhead
import pytest
import realsize

from musetune import LeadSheet
from musetune.adapter.sites import music_sites


@pytest.fixture
def command(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of a run with data, base and one sheet; the judges' versions are made up."""
    for folder in ("data", "sheets"):
        (tmp_path / folder).mkdir()
    for name in ("dataset.json", "clips.jsonl"):
        (tmp_path / "data" / name).write_text("{}\n")
    LeadSheet.parse("C G", duration_seconds=2.5).save(tmp_path / "sheets" / "a.json")
    monkeypatch.setattr(ablation, "versions", lambda: {"chordino": "1.1"})
    return [str(place) for place in (tmp_path / "data", tiny_base, tmp_path / "sheets", tmp_path / "out")]


def scored(out: Path, variant: str, majmin: list[float | None]) -> None:
    """A finished variant: as many sheets as values."""
    clips = {f"sheet {i}": dict.fromkeys(ablation.MEASURES, 0.5) | {"majmin": value} for i, value in enumerate(majmin)}
    path = out / variant.replace(" ", "-").replace(",", "") / "scores.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"trainable": {"parameters": 2_000_000, "share": 0.2}, "clips": clips}))


def test_the_table_compares_sheet_by_sheet_and_skips_what_has_no_chords(command: list[str]) -> None:
    args = ablation.parse(command)
    scored(args.out, "all", [0.8, 0.6, None])
    scored(args.out, "all, seed 1", [0.9, None, 0.1])
    scored(args.out, "no LoRA", [0.4, 0.4, 0.4])
    rows = [line.split(" | ") for line in ablation.table(args).splitlines() if line.startswith("| ")][1:]
    assert [row[0] for row in rows] == ["| all", "| all, seed 1", "| no LoRA"]
    assert rows[0][1:3] == ["2.00 M, 20.0 %", "70.0 (60–80)"]
    assert [row[-1] for row in rows] == ["0.0 (0–0) |", "10.0 (10–10) |", "-30.0 (-40–-20) |"]
    ablation.draw_sizes(args)
    assert (args.out / "size.png").stat().st_size > 1000


def test_a_variant_that_is_not_is_refused(command: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"no variant \['rank 0'\]; there are all, .*no LoRA"):
        ablation.main([*command, "--only", "rank 0"])


@pytest.mark.slow
def test_a_finished_folder_is_read_and_from_then_on_tied_to_its_settings(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(command[-1])
    scored(out, "all", [0.8])
    ablation.main([*command, "--only", "all"])  # without settings.json it gets one
    assert "| all | 2.00 M" in capsys.readouterr().out
    ablation.main([*command, "--only", "all"])
    with pytest.raises(ValueError, match="another steps;"):
        ablation.main([*command, "--only", "all", "--steps", "7"])
    (Path(command[0]) / "clips.jsonl").write_text("{}\n{}\n")
    with pytest.raises(ValueError, match="another data;"):
        ablation.main([*command, "--only", "all"])
    (Path(command[0]) / "clips.jsonl").write_text("{}\n")
    LeadSheet.parse("C F", duration_seconds=2.5).save(Path(command[2]) / "a.json")
    with pytest.raises(ValueError, match="another sheets;"):
        ablation.main([*command, "--only", "all"])
    LeadSheet.parse("C G", duration_seconds=2.5).save(Path(command[2]) / "a.json")
    monkeypatch.setitem(ablation.VARIANTS, "all", {"rank": 5})
    with pytest.raises(ValueError, match="all holds audio made with another knobs;"):
        ablation.main([*command, "--only", "all"])


def test_three_quarters_of_the_sites_are_those_that_are_computed_first() -> None:
    base = realsize.base_of("nano")
    unet, order = realsize.unet_of(base), []
    sites = music_sites(unet)
    for index, site in enumerate(sites):
        site.register_forward_hook(lambda *_, index=index: order.append(index))
    step, _ = adapter_overhead.step_of(unet, None, base, 16, 1, 0)
    step()
    attended = json.loads(ablation.VARIANTS["first three quarters of the sites"]["attended"])
    assert sorted(order) == list(range(len(sites)))
    assert attended == order[: round(0.75 * len(order))]
