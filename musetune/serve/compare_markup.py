"""HTML of the Compare tab: two takes without their origins, the verdicts, and what all verdicts amount to."""

from __future__ import annotations

from html import escape

from musetune.evaluation.preferences import REASONS, summary_text
from musetune.serve.compare_work import BlindSide, DealtPair
from musetune.serve.player import asked_cells, chart_that_follows, player_html, url
from musetune.symbols.json_values import JsonObject

QUESTION = "Which take is better?"
WORDS = (("A", "1", "A is better"), ("B", "2", "B is better"), ("equal", "3", "Equal"), ("both bad", "4", "Both bad"))
EMPTY = (
    '<div class="mt-hint mt-next">There are no pairs yet. Make some below from what stands in Generate, or prepare '
    "many at once with <code>musetune compare</code>.</div>"
)


def pair_html(dealt: DealtPair) -> str:
    """Both takes, the verdicts and the reasons; nothing tells where a take comes from."""
    pair = dealt.comparison.pair
    prompt = str(pair.request.get("prompt") or "")
    about = f'<p class="mt-fact">Asked for: {escape(prompt)}</p>' if prompt else ""
    sides = "".join(_side(letter, side) for letter, side in zip("AB", dealt.sides, strict=True))
    buttons = "".join(
        f'<button type="button" class="mt-verdict" data-verdict="{value}" aria-keyshortcuts="{key}">'
        f"<kbd>{key}</kbd> {words}</button>"
        for value, key, words in WORDS
    )
    reasons = "".join(
        f'<label><input type="checkbox" name="reason" value="{reason}" aria-keyshortcuts="{reason[0]}"> '
        f"<kbd>{reason[0]}</kbd> {reason}</label>"
        for reason in REASONS
    )
    count = f"{dealt.judged} of {dealt.total} judged" + (", this one again" if dealt.comparison.repeated else "")
    return (
        f'<section class="mt-pair" data-token="{dealt.token}" aria-label="Pair">'
        f'<h2 tabindex="-1">{escape(pair.question or QUESTION)}</h2>{about}'
        f'<div class="mt-pair-sides">{sides}</div>'
        f'<fieldset class="mt-reasons"><legend>Reasons, if you like; choose them first</legend>{reasons}</fieldset>'
        f'<div class="mt-verdicts" role="group" aria-label="Verdict">{buttons}</div>'
        f'<p class="mt-fact" role="status">{count}</p></section>'
    )


def all_judged_html(total: int) -> str:
    """What stands where a judge has heard all pairs."""
    if not total:
        return EMPTY
    return (
        f'<div class="mt-hint mt-next" role="status">You have judged all {total} pairs. Thank you! '
        "Results says what the verdicts amount to.</div>"
    )


def results_html(summary: JsonObject) -> str:
    """What verdicts amount to."""
    return f'<pre class="mt-results" tabindex="0" aria-label="Results">{escape(summary_text(summary))}</pre>'


def _side(letter: str, side: BlindSide) -> str:
    if side.sheet is None:
        body = f'<audio controls preload="auto" src="{url(side.sound)}" aria-label="Take {letter}"></audio>'
    else:
        cells = asked_cells(side.sheet)
        player = player_html(side.sound, side.sheet, {"chords": cells}, side.seconds, title=f"Take {letter}")
        body = f'<div class="mt-take">{player}{chart_that_follows(side.sheet, cells)}</div>'
    return (
        f'<div class="mt-pair-side" data-side="{letter}" role="group" aria-label="Take {letter}">'
        f"<h3><kbd>{letter.lower()}</kbd> {letter}</h3>{body}</div>"
    )
