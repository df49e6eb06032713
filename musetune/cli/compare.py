"""`musetune compare`: pairs of takes for the page's Compare tab, and what the verdicts say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from musetune.cli.hub import complete_adapter, complete_base

if TYPE_CHECKING:
    from musetune.suites.pairs import TakeSetup

HELP = """Prepare pairs of takes to be compared by ear, blind; say what the verdicts amount to.

BATCH is a folder. Each pair is one lead sheet played twice: with two seeds, or, with --versus or --versus-mix, by two
adapters. Then musetune ui --compare BATCH plays the pairs in its Compare tab, also while they are still being made, and
--summary says who won. Killed, the same command goes on where it was; another command adds further pairs.

--import takes pairs from elsewhere: a table (.csv or .jsonl) beside sounds, or the folder that holds both;
docs/reference/preferences.md lists its columns.

Examples:

  musetune compare mine --pairs 20 --versus runs/tuned/adapter

  musetune compare mine --pairs 20 --mix jazz=0.5 --versus-mix jazz=1 --prompt "late-night trio"

  musetune compare mine --import from-elsewhere/pairs.csv

  musetune compare mine --summary
"""


def compare(
    batch: Annotated[Path, typer.Argument(help="folder of the pairs and the verdicts", file_okay=False)],
    pairs: Annotated[int, typer.Option(help="how many", min=1)] = 20,
    prompt: Annotated[
        list[str] | None,
        typer.Option(help="words that lead sheets are planned for, more than once; default: six genres in turn"),
    ] = None,
    sheets: Annotated[
        str | None, typer.Option(help="folder or file of lead sheets to play instead of planned ones")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="length of planned sheets; default 10.24", min=2)] = None,
    adapter: Annotated[
        str,
        typer.Option(help="theory adapter: bundled name, folder or Hub id", autocompletion=complete_adapter),
    ] = "theory",
    versus: Annotated[
        str | None,
        typer.Option(help="theory adapter of the other take; default: the same", autocompletion=complete_adapter),
    ] = None,
    mix: Annotated[
        list[str] | None, typer.Option(help="genre adapter with its weight, 0–2, as jazz=0.5, more than once")
    ] = None,
    versus_mix: Annotated[
        list[str] | None, typer.Option(help="genre adapters of the other take; none=0 for none; default: the same")
    ] = None,
    base: Annotated[str, typer.Option(help="nano, a folder, or a Hub id", autocompletion=complete_base)] = "nano",
    steps: Annotated[int, typer.Option(help="denoising steps", min=1)] = 20,
    seed: Annotated[int, typer.Option(help="of the first pair", min=0)] = 0,
    device: Annotated[str | None, typer.Option(help="such as cpu or cuda:1; default cuda where there is one")] = None,
    table: Annotated[
        Path | None,
        typer.Option("--import", help="table from elsewhere, .csv or .jsonl, or its folder"),
    ] = None,
    summary: Annotated[bool, typer.Option("--summary", help="say what the verdicts amount to")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="say it for programs")] = False,
) -> None:
    if table is not None and summary:
        raise ValueError("give --import or --summary, not both")
    if table is not None:
        _import(table, batch, as_json)
    elif summary:
        _summary(batch, as_json)
    else:
        if sheets is not None and (prompt or seconds is not None):
            raise ValueError("--prompt and --seconds are for planned sheets: leave them out beside --sheets")
        from musetune.suites.pairs import TakeSetup

        weights = mix_of("--mix", mix)
        first = TakeSetup(adapter, weights)
        second = TakeSetup(versus or adapter, weights if versus_mix is None else mix_of("--versus-mix", versus_mix))
        _prepare(batch, first, second, prompt, sheets, pairs, seconds, base, steps, seed, device, as_json)


def mix_of(option: str, words: list[str] | None) -> dict[str, float]:
    """Weights by genre adapter; raises ValueError, which names the option, for what is none. `none=0` is no adapter."""
    mix = {}
    for word in words or ():
        name, _, weight = word.rpartition("=")
        try:
            number = float(weight)
        except ValueError:
            number = -1.0
        if not name or not 0 <= number <= 2:
            raise ValueError(f"{option} {word!r}: give a genre adapter and its weight from 0 to 2, as jazz=0.5")
        if number:
            mix[name] = number
    return mix


def _prepare(
    batch: Path,
    first: TakeSetup,
    second: TakeSetup,
    prompts: list[str] | None,
    sheets: str | None,
    count: int,
    seconds: float | None,
    base: str,
    steps: int,
    seed: int,
    device: str | None,
    as_json: bool,
) -> None:
    from tqdm import tqdm

    from musetune.evaluation.testset import load_test_sheets
    from musetune.pipeline.loading import quiet
    from musetune.suites.pairs import PROMPTS, SECONDS, PairRequest, plan_requests, prepare_pairs

    quiet()
    if sheets is not None:
        requests = [PairRequest(test.prompt, test.sheet) for test in load_test_sheets(sheets)]
    else:
        requests = list(plan_requests(prompts or PROMPTS, count, seconds or SECONDS, seed))
    with tqdm(total=count, unit="pair", file=sys.stderr) as bar:
        counts = prepare_pairs(
            batch,
            requests,
            first,
            second,
            count=count,
            base=base,
            steps=steps,
            seed=seed,
            device=device,
            progress=lambda done, _: bar.update(done - bar.n),
        )
    if as_json:
        typer.echo(json.dumps({"batch": str(batch)} | counts._asdict()))
    else:
        typer.echo(
            f"{batch}: {counts.new} new pairs, {counts.present} were there\nlisten: musetune ui --compare {batch}"
        )


def _import(table: Path, batch: Path, as_json: bool) -> None:
    from musetune.evaluation.preferences import import_pairs

    counts = import_pairs(table, batch)
    if as_json:
        typer.echo(json.dumps({"batch": str(batch)} | counts._asdict()))
    else:
        typer.echo(f"{batch}: {counts.pairs} new pairs, {counts.present} were there; {counts.verdicts} new verdicts")


def _summary(batch: Path, as_json: bool) -> None:
    from musetune.evaluation.preferences import PairBatch, read_verdicts, summarise, summary_text

    if not batch.is_dir():
        raise FileNotFoundError(f"{batch} is not there: musetune compare {batch} makes pairs")
    found = summarise(read_verdicts(PairBatch(batch).preferences))
    typer.echo(json.dumps(found, indent=2) if as_json else summary_text(found))
