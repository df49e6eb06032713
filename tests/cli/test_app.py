"""The command line: audio, report and chart out; errors in one line."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from typer.testing import CliRunner

from musetune import LeadSheet, MuseTunePipeline, MusicAdapter, __version__, cli
from musetune.audio import load_audio
from musetune.audio.loudness import true_peak
from musetune.cli.app import app
from musetune.formats.songs import load_arrangement


def musetune(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "musetune.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def adapter(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    unet = MuseTunePipeline.from_pretrained(tiny_base).unet
    MusicAdapter.for_unet(unet, dim=32, hidden=16, map_channels=8).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_generate_then_analyze(tiny_base: Path, adapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    options = [
        "--base",
        tiny_base,
        "--adapter",
        adapter,
        "--steps",
        "2",
        "--seconds",
        "4",
        "--report",
        "--plot",
        "-o",
        out,
    ]
    done = musetune(
        "generate", "warm jazz trio", "--chords", "ii7 V7 Imaj7 Imaj7", "--key", "Bb major", "--bpm", "132", *options
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(out.with_suffix(".json").read_text())
    assert [row["asked"] for row in report["chords"]][:3] == ["C:min7", "F:7", "Bb:maj7"]
    wanted = {"prompt": "warm jazz trio", "seed": 0, "base": str(tiny_base), "adapter": str(adapter), "strength": 1.0}
    wanted |= {"num_inference_steps": 2, "duration_seconds": 4.0, "guidance_scale": 3.0, "music_guidance_scale": 3.0}
    assert wanted.items() <= report["settings"].items()
    assert "2/2" in done.stderr  # the bar of denoising
    assert not [word for word in ("Loading", "float32", "Warning") if word in done.stderr]
    assert out.with_suffix(".png").stat().st_size > 10_000
    heard = musetune("analyze", out, "--json")
    assert heard.returncode in (0, 2)
    if heard.returncode == 0:
        assert json.loads(heard.stdout)["schema"] == 1


@pytest.mark.slow
def test_a_sheet_is_cut_to_the_seconds_that_were_asked_for(tiny_base: Path, adapter: Path, tmp_path: Path) -> None:
    sheet = LeadSheet.parse("C G Am F", duration_seconds=20).save(tmp_path / "sheet.json")
    options = ["--base", tiny_base, "--adapter", adapter, "--steps", "1", "--device", "cpu", "--report"]
    part = ["--follow", "chords", "--follow", "key", "--follow-seconds", "0", "1", "--window-seconds", "1.5"]
    pushed = ["--guidance-interval", "0", "0.8", "--music-guidance-interval", "0.2", "1"]
    out = tmp_path / "d.WAV"
    done = musetune("generate", "x", "--sheet", sheet, "--seconds", "2", *options, *part, *pushed, "-o", out)
    assert done.returncode == 0, done.stderr
    assert LeadSheet.load(out.with_suffix(".mid")).chord_labels == ["C:maj"]
    assert f"{out}: 2.00 s at 48000 Hz, stereo" in done.stdout
    assert soundfile.info(out).channels == 2
    report = json.loads(out.with_suffix(".json").read_text())
    wanted = {"follow": ["chords", "key"], "follow_seconds": [0.0, 1.0], "window_seconds": 1.5}
    wanted |= {"guidance_interval": [0.0, 0.8], "music_guidance_interval": [0.2, 1.0]}
    assert wanted.items() <= report["settings"].items()
    assert report["chords"][-1]["end_s"] == 1.0


@pytest.mark.slow
def test_plain_mono_and_loudness(tiny_base: Path, tmp_path: Path) -> None:
    out = tmp_path / "mono.flac"
    options = ["--base", tiny_base, "--steps", "1", "--seconds", "2", "--device", "cpu", "--json"]
    done = musetune("generate", "x", *options, "--mono16", "--lufs", "-20", "-o", out)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["sampling_rate"], said["channels"]) == (16000, 1)
    wave, rate = load_audio(out)
    assert rate == 16000
    assert pyloudnorm.Meter(rate).integrated_loudness(wave) < -19  # softer where a peak forbids more
    assert true_peak(wave) < 0.9


@pytest.mark.slow
def test_info_weighs_every_part(tiny_base: Path, adapter: Path) -> None:
    done = musetune("info", tiny_base, "--adapter", adapter, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    parts = ("vae", "text_encoder", "text_encoder_2", "projection_model", "language_model", "unet", "vocoder", "total")
    assert set(told["base"]) == set(parts)
    assert all(told["base"][part]["parameters"] > 0 and told["base"][part]["mb"] > 0 for part in parts)
    assert told["base"]["vae"]["parameters"] == 128 + 4 * 64 + 4 * 16
    assert told["adapter"]["parameters"] > 0
    assert told["adapter"]["mb"] == pytest.approx((adapter / WEIGHTS).stat().st_size / 1e6, abs=1e-3)


WEIGHTS = "diffusion_pytorch_model.safetensors"


def test_a_lora_is_weighed_apart_from_its_theory_adapter() -> None:
    from musetune.pipeline.sizes import lora_sizes

    folder = Path(__file__).parents[2] / "adapters" / "jazz"
    sizes = lora_sizes(folder, 9_663_216)
    assert sizes["mb"] == round((folder / "adapter_model.safetensors").stat().st_size / 1e6, 3)
    assert 2 * sizes["parameters"] / 1e6 == pytest.approx(sizes["mb"], rel=0.1)  # fp16


@pytest.mark.slow
def test_no_such_base_is_one_line(tmp_path: Path) -> None:
    done = musetune("generate", "x", "--base", "nanoo", "-o", tmp_path / "x.wav")
    assert done.returncode == 2
    assert "no base 'nanoo'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["foo"], 2, "No such command 'foo'"),
        (["generate"], 2, "Missing argument"),
        (["generate", "x", "--strength", "3"], 2, "--strength"),
        (["generate", "x", "--guidance", "-1"], 2, "--guidance"),
        (["generate", "x", "--sheet", "nowhere.json"], 2, "no such lead sheet: nowhere.json"),
        (["--version"], 0, f"musetune {__version__}"),
    ],
)
def test_usage_without_traceback(arguments: list[str], code: int, message: str) -> None:
    done = musetune(*arguments)
    assert done.returncode == code
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def here(monkeypatch, *arguments: str | Path) -> int:  # type: ignore[no-untyped-def]
    """The same in this process, for what ends before anything is loaded: the exit code."""
    monkeypatch.setattr(sys, "argv", ["musetune", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--chords", "H7"], "'H7'"),
        (["--chords", "I V", "--bpm", "900"], "bpm=900 is outside 30–300"),
        (["--chords", "I V", "--key", "H major"], "did you mean"),
        (["--format", "aac"], "format='aac' is not one of wav, flac, mp3"),
        (["--format", "mp3"], "--format mp3 contradicts -o"),
        (["--seconds", "0"], "--seconds=0.0 is not above 0"),
        (["--bpm", "90"], "--bpm=90.0 needs --chords"),
        (["--report"], "--report needs --chords or --sheet"),
        (["--plot"], "--plot needs --chords or --sheet"),
        (["--strength", "0.5"], "--strength=0.5 needs --chords or --sheet"),
        (["--music-guidance", "3"], "--music-guidance=3.0 needs"),
        (["--adapter", "theory"], "--adapter='theory' needs"),
        (["--follow", "chords"], "--follow=['chords'] needs"),
        (["--guidance-interval", "0", "1"], "--guidance-interval=(0.0, 1.0) needs"),
        (["--sheet", "good.json", "--follow", "chord"], "did you mean 'chords'?"),
        (["--sheet", "good.json", "--follow-seconds", "2", "9"], "follow_seconds=2–9 is not a stretch of 0–5.00 s"),
        (
            ["--sheet", "good.json", "--music-guidance-interval", "1", "0"],
            "music_guidance_interval=(1.0, 0.0) is outside",
        ),
        (["--sheet", "good.json", "--window-seconds", "0"], "window_seconds=0.0 is not above 0"),
        (["--device", "cudaa"], "device='cudaa' cannot be used here"),
        (["--sheet", "good.json", "--chords", "I"], "give --chords or --sheet, not both"),
        (["--sheet", "good.json", "--key", "D major"], "--key='D major' is the lead sheet's own"),
        (["--sheet", "good.json", "--bpm", "90"], "--bpm=90.0 is the lead sheet's own"),
        (["--sheet", "good.json", "--meter", "3/4"], "--meter='3/4' is the lead sheet's own"),
        (["--sheet", "good.json", "--genre", "jazz"], "--genre='jazz' is the lead sheet's own"),
        (["--sheet", "good.json", "--seconds", "20"], "lasts 5.00 s"),
        (["--sheet", "x.json", "--report"], "--report would overwrite --sheet x.json"),
        (["--sheet", "bad.json"], "bad.json is not a lead sheet that musetune wrote as JSON"),
        (["--sheet", "empty.mid"], "empty.mid is not a standard MIDI file"),
        (["--sheet", "bad.mid"], "bad.mid is not a standard MIDI file"),
        (["--sheet", "bad.musicxml"], "bad.musicxml is not a MusicXML score"),
        (["--sheet", "bad.txt"], "bad.txt: suffix '.txt' is not one of .json"),
        (["--lufs", "3"], "lufs=3 is outside of -40 to -5"),
        (["-o", "there.wav"], "there.wav is there already: give another name with -o, or --force"),
        (["--chords", "I", "--plot", "--report", "-o", "plotted.wav"], "plotted.png is there already: give another"),
        (["--chords", "-"], "standard input is empty"),
        (["--sheet", "-"], "standard input is empty"),
    ],
)
def test_mistakes_are_one_line(options: list[str], message: str, tmp_path: Path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    for name in ("good.json", "x.json"):
        LeadSheet.parse("C G", duration_seconds=5).save(tmp_path / name)
    for name in ("bad.json", "bad.mid", "bad.musicxml", "bad.txt", "empty.mid"):
        (tmp_path / name).write_text("" if name == "empty.mid" else "this is no sheet")
    for name in ("there.wav", "plotted.png"):
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert here(monkeypatch, "generate", "x", "-o", "x.wav", *options) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_sheet_and_chart_come_from_standard_input(monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from musetune.cli.app import _lead_sheet

    def piped(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    sheet = LeadSheet.parse("| Dm7 | G7 |", bpm=90)
    for suffix in ("json", "mid", "musicxml", "mxl", "jams"):
        piped(sheet.save(tmp_path / f"x.{suffix}").read_bytes())
        read = _lead_sheet(None, Path("-"), None)
        assert read is not None
        assert (read.chord_labels, round(read.bpm)) == (sheet.chord_labels, 90)
    piped("| Dm7 | G7 |\n".encode("utf-8-sig"))
    assert _lead_sheet("-", None, 4.0, bpm=90).chord_labels[:2] == sheet.chord_labels
    piped(b"\xff\xfe")
    with pytest.raises(ValueError, match="no text at byte 0"):
        _lead_sheet("-", None, None)


def test_a_busy_port_is_said_before_anything_is_loaded(monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("musetune.serve.work.load", lambda *arguments: pytest.fail("a model was loaded"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert here(monkeypatch, "ui", "--port", str(port), "--no-open") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"port {port} is in use by another program" in line
    assert "--port " in line
    assert here(monkeypatch, "ui", "--host", "203.0.113.1", "--no-open") == 2  # no address of this machine (RFC 5737)
    assert "--host 203.0.113.1" in capsys.readouterr().err


def test_help_names_the_extra_of_the_page(monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    assert here(monkeypatch, "ui", "--help") == 0
    assert 'pip install "musetune[ui]"' in capsys.readouterr().out


def test_evaluate_hands_every_option_over(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    from musetune import suites

    given: dict[str, object] = {}
    monkeypatch.setattr(suites, "run_suite", lambda suite, **options: given.update(suite=suite, **options))

    words = "--suite genres --genres jazz blues --base b --adapter a --arranger model --sheets s --out o --limit 3"
    more = "--steps 4 --guidance 1 --music-guidance 2 --played-guidance 5 --soundfont f --device cpu --workers 0"
    assert not here(monkeypatch, "evaluate", *words.split(), *more.split())
    assert given == {
        "suite": "genres",
        "genres": ["jazz", "blues"],
        "base": "b",
        "adapter": "a",
        "arranger": "model",
        "sheets": "s",
        "out": Path("o"),
        "limit": 3,
        "steps": 4,
        "guidance": 1.0,
        "music_guidance": 2.0,
        "played_guidance": 5.0,
        "soundfont": "f",
        "device": "cpu",
        "workers": 0,
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--suite", "all"], "suite='all' is not one of obedience"), (["--arranger", "x"], "arranger='x'")],
)
def test_evaluate_refuses_what_is_no_suite(monkeypatch, capsys, words: list[str], message: str) -> None:  # type: ignore[no-untyped-def]
    assert here(monkeypatch, "evaluate", *words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["prepare", "evaluate"])
def test_the_recipe_is_the_command(name: str) -> None:
    script = Path(__file__).parents[2] / "recipes" / f"{name}.py"
    run = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=True)
    assert {"--base", "--device", "--workers"} <= set(run.stdout.replace(",", " ").split())


def test_help_teaches() -> None:
    done = musetune("generate", "--help")
    assert done.returncode == 0
    assert "I V vi IV" in done.stdout


@pytest.mark.slow
def test_players_of_a_call_come_apart_and_can_be_mixed(tiny_base: Path, tmp_path: Path) -> None:
    unet = MuseTunePipeline.from_pretrained(tiny_base).unet
    reader = tmp_path / "reader"
    MusicAdapter.for_unet(unet, dim=32, hidden=16, map_channels=8, stem_hidden=8).save_pretrained(reader)
    out = tmp_path / "band.wav"
    options = [
        "--base",
        tiny_base,
        "--adapter",
        reader,
        "--steps",
        "1",
        "--device",
        "cpu",
        "--json",
        "--bpm",
        "120",
        "--seconds",
        "4",
    ]
    done = musetune("generate", "band", "--chords", "I V", *options, "--stems", "--lufs", "-20", "-o", out)
    assert done.returncode == 0, done.stderr
    files = [Path(name) for name in json.loads(done.stdout)["stems"]]
    assert files[-1].name == "band.mix.json"
    waves = [load_audio(path, mono=False)[0] for path in (out, *files[:-1])]
    assert np.array_equal(waves[0], np.sum(waves[1:], axis=0))
    assert waves[0].shape == (2, 4 * 48000)
    assert musetune("mix", tmp_path, "--mute", files[0].suffixes[0].strip(".")).returncode == 0
    notes = load_arrangement(out.with_suffix(".mid"))  # what the players play, not the chords
    assert {name for name, stem in notes.stems.items() if stem.notes} == {path.suffixes[0][1:] for path in files[:-1]}
    command = ["replay", str(out.with_suffix(".mid")), "bass", "-o", str(tmp_path / "again"), *map(str, options[:8])]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    assert np.array_equal(*(load_audio(tmp_path / f"{name}.drums.wav")[0] for name in ("band", "again")))
