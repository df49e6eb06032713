"""Which genre a piece is nearest to, how sure that is, and what in the piece speaks for it.

Six genres are told by a small classifier over harmony, rhythm and timbre (recipes/analyzer/train_genre.py), which also
knows music of none of them. Its confidence is the probability that the genre is right, calibrated on songs, players and
recordings that it was not trained on; below a threshold chosen on the same, the genre is `UNSURE`. Genres of a user's
file, for which there is no training data, are scored by their conventions alone, on one scale with the six: share(u) =
softmax over all genres of `Convention.points`; what is left over is divided among the trained genres as the classifier
says. A row with the name of a built-in genre takes that genre's place and is scored by conventions too.
"""

from __future__ import annotations

from functools import lru_cache
from os import PathLike
from pathlib import Path

import numpy as np

from musetune.analysis.genre.conventions import WEIGHTS, Convention, ConventionCheck, built_in, load_conventions
from musetune.analysis.genre.traits import FEATURE_NAMES, HARMONY_NAMES, RHYTHM_NAMES, features, traits
from musetune.symbols import GENRES, LeadSheet
from musetune.symbols.json_values import JsonObject

WEIGHTS_FILE = Path(__file__).with_name("genre_weights.npz")
UNSURE = "unsure"  # the record's word where no genre can be named
FAR = 3.0  # standard deviations: what lies further off is held to be as far as this
MOST_REASONS = 6
UNDECIDED = 0.01  # two genres as near as this are not told apart
GROUPS = {
    "harmony": slice(0, len(HARMONY_NAMES)),
    "rhythm": slice(len(HARMONY_NAMES), len(HARMONY_NAMES) + len(RHYTHM_NAMES)),
    "sound": slice(len(HARMONY_NAMES) + len(RHYTHM_NAMES), len(FEATURE_NAMES)),
}
KINDS = {"score": ("harmony", "rhythm"), "sound": ("sound",)}  # what each group of networks sees


def genre_analysis(
    sheet: LeadSheet,
    rhythm: JsonObject,
    timbre: np.ndarray | None = None,
    conventions: str | PathLike | None = None,
) -> JsonObject:
    """The record's `genre_analysis`.

    Args:
        sheet: Chords, keys, meter and tempo.
        rhythm: The record's `rhythmic_analysis`.
        timbre: Of `timbre_features`; None where there is no sound.
        conventions: A YAML file with further genres; conventions.py says what it raises.

    Returns:
        `primary_genre`: the likeliest genre, `UNSURE` where the confidence is too low or two genres fit equally well,
        None where no chords are heard; `confidence`: probability, 0…1, that the likeliest genre is right, none of them
        being possible too (0 where two fit equally well); `scores` by genre, which sum to 1; `reasons`, each true of
        this piece.
    """
    own = load_conventions(conventions) if conventions is not None else ()
    replaced = {row.genre for row in own}
    rows = (*(row for row in built_in() if row.genre not in replaced), *own)
    piece = traits(sheet, rhythm, timbre)
    if not piece.chords:
        return {"primary_genre": None, "confidence": 0.0, "scores": {}, "reasons": ["no chords heard"]}
    x = features(sheet, rhythm, timbre)
    checks = {row.genre: row.checks(piece) for row in rows}
    trained, of_the_six = classify(x)
    scores = _round_scores(_combine(trained, rows, own, checks))
    first, second = sorted(scores, key=lambda name: -scores[name])[:2]
    if scores[first] - scores[second] < UNDECIDED:
        reasons = [f"{first} and {second} fit equally well ({scores[first]:.2f}, {scores[second]:.2f})"]
        return {"primary_genre": UNSURE, "confidence": 0.0, "scores": scores, "reasons": reasons}
    confidence = round(scores[first] * (1.0 if first in replaced else of_the_six), 3)
    if first not in replaced and confidence < (threshold := sure_from(x)):
        reasons = [
            f"{first} is likeliest, but right with a probability of {confidence:.2f} only, below {threshold:.2f}"
        ]
        return {"primary_genre": UNSURE, "confidence": confidence, "scores": scores, "reasons": reasons}
    reasons = _kept_conventions(first, checks)
    if first not in replaced:
        reasons += _evidence(first, x)
    reasons = reasons or [f"nearest to {first} as a whole; none of its written conventions is kept"]
    return {"primary_genre": first, "confidence": confidence, "scores": scores, "reasons": reasons}


def _combine(
    trained: dict[str, float],
    rows: tuple[Convention, ...],
    own: tuple[Convention, ...],
    checks: dict[str, list[ConventionCheck]],
) -> dict[str, float]:
    """Score of every row's genre; see the module's docstring."""
    if not own:
        return trained
    points = np.array([row.points(checks[row.genre]) for row in rows])
    share = np.exp(points - points.max())
    by_convention = dict(zip((row.genre for row in rows), share / share.sum(), strict=True))
    names = {row.genre for row in own}
    rest = 1 - sum(by_convention[name] for name in names)
    total = sum(value for name, value in trained.items() if name not in names)
    return {
        row.genre: by_convention[row.genre] if row.genre in names else rest * trained[row.genre] / total for row in rows
    }


def _round_scores(scores: dict[str, float]) -> dict[str, float]:
    """To three places; the largest takes what rounding leaves, so that the sum is 1."""
    rounded = {name: round(float(value), 3) for name, value in scores.items()}
    first = max(rounded, key=lambda name: rounded[name])
    rounded[first] = round(rounded[first] + 1 - sum(rounded.values()), 3)
    return rounded


def _kept_conventions(genre: str, checks: dict[str, list[ConventionCheck]]) -> list[str]:
    """Reasons for `genre`, those first that speak against most other genres; what holds for all alike is left out."""
    ranked = []
    for check in checks[genre]:
        also = sum(
            any(other.kept and other.subject == check.subject for other in rows)
            for name, rows in checks.items()
            if name != genre
        )
        if check.kept and also < len(checks) - 1:
            ranked.append((also, -WEIGHTS[check.kind], check.reason))
    return [reason for _, _, reason in sorted(ranked)][:MOST_REASONS]


def _evidence(genre: str, x: np.ndarray) -> list[str]:
    """Which of harmony, rhythm and sound the classifier's score for `genre` rests on most, and the score without it."""
    whole = classify(x)[0][genre]
    without = {}
    for name, columns in GROUPS.items():
        if np.isnan(x[columns]).all():
            continue
        blind = x.copy()
        blind[columns] = np.nan
        without[name] = classify(blind)[0][genre]
    group = min(without, key=lambda name: without[name])
    if whole - without[group] < 0.05:
        return []
    return [f"its {group} speaks for {genre}: {whole:.2f} by the classifier, {without[group]:.2f} without it"]


def classify(x: np.ndarray) -> tuple[dict[str, float], float]:
    """How a piece is divided among the genres.

    Args:
        x: `features` (len(FEATURE_NAMES),), NaN where not known.

    Returns:
        Probability of each trained genre, given that it is one of them; and the calibrated probability of that.
    """
    w = weights()
    share = probabilities(evidence(x[None], w), w["weight"], float(w["none"]))[0]
    of_the_six = float(share[: len(GENRES)].sum())
    return dict(zip(GENRES, map(float, share[: len(GENRES)] / of_the_six), strict=True)), of_the_six


def has_sound(x: np.ndarray) -> bool:
    """Whether any feature of the sound is known."""
    return not np.isnan(x[GROUPS["sound"]]).all()


def sure_from(x: np.ndarray) -> float:
    """The confidence from which on a genre is named."""
    return float(weights()["sure"][int(has_sound(x))])


def evidence(x: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
    """What the score and the sound say of each genre and of none, apart from each other.

    Two groups of networks, trained apart: one sees harmony and rhythm, which lead sheets teach, the other the sound.

    Args:
        x: (n, features), NaN where not known.
        w: Of `weights`.

    Returns:
        (2, n, genres + 1): log of the share of each over an even share; the score says nothing of none. All 0 where
        nothing is known of a kind, and −inf for none without a sound, for nothing else can tell it.
    """
    out = np.zeros((len(KINDS), len(x), len(GENRES) + 1))
    for index, names in enumerate(KINDS.values()):
        own = np.full_like(x, np.nan, dtype=float)
        for name in names:
            own[:, GROUPS[name]] = x[:, GROUPS[name]]
        known = ~np.isnan(own).all(axis=1)
        z = standardise(own, w["mean"][index], w["scale"][index])
        logits = network(z, {name: w[name][index] for name in ("w1", "b1", "w2", "b2")}).astype(float)
        logits = logits if index else logits[:, : len(GENRES)]
        share = logits - logits.max(axis=1, keepdims=True)
        share = share - np.log(np.exp(share).mean(axis=1, keepdims=True))
        out[index, known, : share.shape[1]] = share[known]
    out[1, np.isnan(x[:, GROUPS["sound"]]).all(axis=1), -1] = -np.inf
    return out


def probabilities(evidence: np.ndarray, weight: np.ndarray, none: float) -> np.ndarray:
    """(n, genres + 1) calibrated shares, the last that of none of the genres.

    Args:
        evidence: (2, n, genres + 1) of the function `evidence`.
        weight: (3,): of the score where there is no sound; of the score, and of the sound, where there is one.
        none: Added to the logit of none.
    """
    silent = np.isneginf(evidence[1, :, -1:])
    sound = np.where(silent, 0, evidence[1])
    logits = np.where(silent, weight[0], weight[1]) * evidence[0] + weight[2] * sound
    logits[:, -1] = np.where(silent[:, 0], -np.inf, logits[:, -1] + none)
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(share / share.sum(axis=1, keepdims=True))


def standardise(x: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(n, features) → (n, features + groups): deviations within ±FAR, 0 where not known; last, which groups are
    known.
    """
    z = np.nan_to_num(np.clip((x - mean) / scale, -FAR, FAR))
    presence = [~np.isnan(x[:, columns]).all(axis=1) for columns in GROUPS.values()]
    return np.concatenate([z, np.stack(presence, axis=1)], axis=1).astype(np.float32)


def network(z: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
    """(n, features + groups) → (n, genres + 1) logits, the last of none: a mean of networks of one hidden layer."""
    hidden = np.maximum(np.einsum("ni,mih->mnh", z, w["w1"]) + w["b1"][:, None], 0)
    return (np.einsum("mnh,mhg->mng", hidden, w["w2"]) + w["b2"][:, None]).mean(axis=0)


@lru_cache(maxsize=1)
def weights() -> dict[str, np.ndarray]:
    """For each of `KINDS` mean, scale (2, features), w1 (2, m, inputs, hidden), b1, w2, b2; weight (3,) and none () of
    `probabilities`; sure (2,), the confidence from which on a genre is named, without and with a sound.
    """
    with np.load(WEIGHTS_FILE) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}
