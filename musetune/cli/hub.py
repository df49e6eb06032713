"""`musetune push | pull | adapters`: adapters to and from the Hugging Face Hub, what is at hand, and what a shell may
complete.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from musetune.hub import ListedAdapter

PUSH_HELP = """Put an adapter's folder, or a data set of musetune annotate, on the Hugging Face Hub, in one commit.

FOLDER is what training or pipe.save_adapter wrote, or a whole pipeline's; only safetensors, JSON, Markdown, PNG
and audio are sent, and their list is shown first. Links and what looks like a secret are refused. Where it has no
README.md, the model card is made from musetune.json, training.json and results.json. An adapter's licence follows from
its base and its music; where that cannot be told, nothing is sent without --license. The repository is made where
there is none. The token is --token, HF_TOKEN, or what `hf auth login` left.

Examples:

  musetune push adapters/jazz me/musetune-jazz

  musetune push adapters/jazz me/musetune-jazz --dry-run        shows files and card, and sends nothing

  musetune push adapters/jazz me/musetune-jazz --private --message "rank 16"

  musetune push adapters/jazz me/musetune-jazz --revision v2       to another branch
"""
PULL_HELP = """Fetch an adapter from the Hugging Face Hub.

Into the cache, where `--adapter owner/name` finds it, also offline; or, with --out, into a folder of your own.
Nothing but safetensors, JSON, Markdown, PNG and audio is fetched of an adapter, and each file is checked.

Examples:

  musetune pull me/musetune-jazz

  musetune pull me/musetune-jazz --revision v2 --out jazz       a copy of a branch, tag or commit

  musetune generate "late-night trio" --chords "ii7 V7 I" --adapter me/musetune-jazz
"""
ADAPTERS_HELP = """List the adapters at hand: those that come with musetune, in the Hub's cache, and in PLACES.

Adherence is what results.json in the adapter's folder says, in per cent: chords right (majmin) and beats right (F).

Examples:

  musetune adapters

  musetune adapters out/jazz ~/adapters           also an adapter, and a folder of them

  musetune adapters --json | jq '.[] | select(.genre == "jazz") | .folder'
"""
Json = Annotated[bool, typer.Option("--json", help="for programs")]
Token = Annotated[str | None, typer.Option(help="default: HF_TOKEN, or what `hf auth login` left", show_default=False)]


def push(
    folder: Annotated[Path, typer.Argument(help="adapter's, pipeline's or data set's", exists=True, file_okay=False)],
    repo: Annotated[str, typer.Argument(help="owner/name on the Hub")],
    revision: Annotated[str | None, typer.Option(help="branch, made where there is none; default main")] = None,
    private: Annotated[bool, typer.Option("--private", help="a new repository that only you see")] = False,
    token: Token = None,
    message: Annotated[str | None, typer.Option("--message", "-m", help="of the commit")] = None,
    licence: Annotated[
        str | None, typer.Option("--license", help="of the adapter, as the Hub spells it; default: from base and music")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show files and card, and send nothing")] = False,
    as_json: Json = False,
) -> None:
    from musetune import hub
    from musetune.hub.dataset_transfer import dataset_card_to_push, is_dataset

    made = is_dataset(folder)
    names = hub.dataset_files(folder) if made else hub.files_to_push(folder)
    typer.echo(f"{'would push' if dry_run else 'pushing'} to {repo}: {', '.join(names)}", err=not dry_run)
    if dry_run and made:
        typer.echo(f"\n{dataset_card_to_push(folder, licence)}")
        return
    if dry_run:
        if "model_index.json" not in names:  # a whole pipeline's card is its own
            typer.echo(f"\n{hub.card_to_push(folder, repo, revision, licence)}")
            if why := hub.why_unlicensed(folder, licence):
                typer.echo(f"a push would stop here: {why}", err=True)
        return
    send = hub.push_dataset if made else hub.push
    url = send(folder, repo, token=token, revision=revision, private=private or None, message=message, license=licence)
    typer.echo(json.dumps({"repo": repo, "commit": url}, indent=2) if as_json else url)


def pull(
    repo: Annotated[str, typer.Argument(help="owner/name on the Hub")],
    revision: Annotated[str | None, typer.Option(help="branch, tag or commit; default main")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="a new folder for a copy; default: the cache only")
    ] = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    from musetune import hub

    folder = hub.pull(repo, revision=revision, token=token, out=out)
    typer.echo(json.dumps({"repo": repo, "folder": str(folder)}, indent=2) if as_json else str(folder))


def adapters(
    places: Annotated[
        list[Path] | None, typer.Argument(help="adapters' folders, or folders of them", metavar="[PLACES...]")
    ] = None,
    as_json: Json = False,
) -> None:
    from musetune import hub

    listing = hub.list_adapters(places or [])
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in listing], indent=2))
    else:
        typer.echo(_table(listing) if listing else "no adapters at hand; musetune pull owner/name fetches one")


def _table(listing: list[ListedAdapter]) -> str:
    """A line each, in columns; numbers to the right."""
    rows: list[tuple[str, ...]] = [("name", "kind", "genre", "base", "parameters", "MB", "majmin", "beat F", "where")]
    for one in listing:
        scores = ["—" if value is None else f"{100 * value:.1f}" for value in one.adherence.values()]
        where = one.source if one.source != "folder" else one.folder
        about = (one.name, one.kind, one.genre or "—", one.base or "—", f"{one.parameters:,}", f"{one.mb:.2f}")
        rows.append((*about, *scores, where))
    widths = [max(map(len, column)) for column in zip(*rows)]
    numbers = range(4, 8)
    cells = [[c.rjust(w) if i in numbers else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths))] for row in rows]
    return "\n".join("  ".join(row).rstrip() for row in cells)


def complete_genre(incomplete: str) -> list[str]:
    """Genres that begin so, for a shell."""
    from musetune.symbols import GENRES

    return [genre for genre in GENRES if genre.startswith(incomplete)]


def complete_base(incomplete: str) -> list[str]:
    """Bundled bases and AudioLDM 2's own on the Hub that begin so; a shell completes folders itself."""
    from musetune.hub.locate import BASES

    names = [folder.parent.name for folder in BASES.glob("*/model_index.json")]
    names += ["cvssp/audioldm2", "cvssp/audioldm2-music", "cvssp/audioldm2-large"]
    return [name for name in names if name.startswith(incomplete)]


def complete_adapter(incomplete: str) -> list[tuple[str, str]]:
    """Adapters that come with musetune or lie in the Hub's cache and begin so, with what they are."""
    from musetune.hub import list_adapters

    return [
        (one.name, f"{one.genre or one.kind}, {one.source}")
        for one in list_adapters()
        if one.name.startswith(incomplete)
    ]
