"""Write docs/studies/class-token-wins.md from what `class_token_wins.py` beside it measured."""

import json
from pathlib import Path
from typing import Any

FOUND = Path(__file__).resolve().parents[2] / "docs" / "studies" / "class-token-wins.json"
PAGE = FOUND.with_suffix(".md")
OBJECTIVES = {"supervised": "trained with labels", "dino": "trained without labels (DINO)", "untrained": "not trained"}
NAMES = {
    "cls": "class token",
    "mean": "mean of the patches, no class token",
    "map": "attention pooling, no class token",
    "cls, read by mean": "trained by its class token, read by the mean of its patches",
}
RATES = (2e-4, 2e-2)
"""the lowest and highest that are tried at all"""
FLOOR = {"what stands in front of it": 0.412}
"""what always saying the commonest answer gives"""
CELLS = [(objective, depth) for objective in OBJECTIVES for depth in (2, 6)]
INTRODUCTION = """
# When does the class token win?

A transformer must make one vector out of many patches. It can learn an extra token that reads them (the class token),
average them, or learn an attention over them. Published comparisons disagree, because they change more than that:
[the literature](https://arxiv.org/abs/2010.11929) explains a large gap between class token and average by the learning
rate alone. Here nothing else is changed.

**What was done.** Small vision transformers (24x24 pixels, 16 patches, 32 numbers a state, 2 or 6 blocks) learn from
1,200 faces of birds, cats and dogs that the package draws, most of them partly hidden by a thing. The vector that
learns is the class token, the mean of the patches or attention pooling; encoders of the last two have no class token.
Everything else is equal: about 250 steps of 32 faces, the same faces in the same order. **The learning rate of each is
chosen on 400 held-out faces**, from three values (the next one too where the best is at the edge); then three seeds.
Judged on 1,000 fresh faces by three questions: whose face it is (what training with labels asks; a linear probe), what
stands in front of it (which nobody ever asked; a linear probe, for which 0.412 is what always saying "nothing" gives),
and whether nearest neighbours by cosine show the same animal (nothing is learned).

**How to read it.** Every face counts with its mean over the seeds. Intervals are of 95 % over faces. Candidates of one
group cannot be told apart from its best (paired permutation tests of every pair, corrected together). A difference is
called clear where that test finds it **and all seeds agree on its sign**: three seeds say little more about other
trainings than that. It holds for these small encoders on these faces, and for others when they are measured.

`python tools/studies/class_token_wins.py` does all of it on one core, goes on where it was stopped, and
`python tools/studies/class_token_wins_page.py` writes this page. [All numbers](class-token-wins.json)
"""


def main() -> None:
    """Write the page."""
    found = json.loads(FOUND.read_text(encoding="utf-8"))
    results = found["results"]
    parts = [INTRODUCTION.strip(), "## What was found", in_short(results), *overview(results), missing(results)]
    for objective, depth in CELLS:
        mine = [one for one in results if (one["objective"], one["depth"]) == (objective, depth)]
        if mine:
            parts.append(f"## {begun(OBJECTIVES[objective])}, {depth} blocks")
            parts += [section(one) for one in mine]
    parts += ["## Learning rates", rates(found["tuning"])]
    parts.append(f"{found['runs']} trainings, {found['seconds']} seconds of processor time.")
    PAGE.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


def in_short(results: list[dict[str, Any]]) -> str:
    """How often the class token wins, loses, or neither, against each of the two, by how encoders were trained."""
    lines = []
    for objective in ("supervised", "dino"):
        asked = [one for one in results if one["objective"] == objective and not at_floor(one)]
        told = []
        for rival in ("mean", "map"):
            said = [verdict(one, rival) for one in asked]
            wins, loses = (sum(v.startswith(f"the class token {word}") for v in said) for word in ("wins", "loses"))
            told.append(
                f"against {NAMES[rival].split(',')[0]} the class token wins {wins} of {len(asked)} comparisons, loses "
                f"{loses}, and {len(asked) - wins - loses} are not clear"
            )
        if asked:
            taught = sum(len(unlearned(results, one)) for one in asked)
            mind = (
                f" Mind: {taught} of {3 * len(asked)} vectors are no better than that of the same encoder before "
                "training, so that these comparisons say how weakly trained encoders differ, not what good ones do."
                if taught
                else ""
            )
            lines.append(f"- **{begun(OBJECTIVES[objective])}**: {'; '.join(told)}.{mind}")
    out = (
        "Left out: encoders that are not trained, and questions to which no vector knows the answer. Depth and rival "
        "matter as much as the class token does: there is no answer for all of them."
    )
    return "\n".join(["**In short**", "", *lines, "", out]) if lines else ""


def unlearned(results: list[dict[str, Any]], one: dict[str, Any]) -> list[str]:
    """The trained vectors whose interval does not lie above that of the same vector before training."""
    before = next(
        (r for r in results if (r["objective"], r["depth"], r["task"]) == ("untrained", one["depth"], one["task"])),
        None,
    )
    if before is None:
        return []
    tops = {row["name"]: row["high"] for row in before["candidates"]}
    return [row["name"] for row in one["candidates"] if row["name"] in ("cls", "mean", "map")
            and not row["low"] > tops[row["name"]]]  # fmt: skip


def begun(words: str) -> str:
    """With a capital at the beginning."""
    return words[0].upper() + words[1:]


def at_floor(one: dict[str, Any]) -> bool:
    """Whether no candidate's interval lies above what the commonest answer gives."""
    return max(row["low"] for row in one["candidates"]) <= FLOOR.get(one["task"], -1)


def overview(results: list[dict[str, Any]]) -> list[str]:
    """A sentence for every question: the class token against the mean and against attention pooling."""
    lines = []
    for one in results:
        where = f"{OBJECTIVES[one['objective']]}, {one['depth']} blocks, {one['task']}"
        said = [verdict(one, rival) for rival in ("mean", "map")]
        if at_floor(one):
            said = ["no vector knows it: none does clearly better than always giving the commonest answer"]
        elif one["objective"] != "untrained" and (weak := unlearned(results, one)):
            said.append(f"no better than before training: {', '.join(weak)}")
        lines.append(f"- **{begun(where)}**: {'; '.join(said)}.")
    return ["\n".join(lines)] if lines else ["No part of the study is complete yet."]


def verdict(one: dict[str, Any], rival: str) -> str:
    """The class token against another pooling."""
    gap = next(d for d in one["differences"] if {d["first"], d["second"]} == {"cls", rival})
    sign = 1 if gap["first"] == "cls" else -1
    value, ends = 100 * sign * gap["value"], [gap[end] for end in ("low", "high")]
    seeds = ", ".join(f"{100 * sign * v:+.1f}" for v in gap["by_seed"])
    low, high = sorted(100 * sign * end for end in ends) if None not in ends else (None, None)
    limits = "no interval" if low is None else f"{low:+.1f}, {high:+.1f}"
    told = f"{value:+.1f} points [{limits}] against {rival}; by seed {seeds}"
    agree = all(v * gap["value"] > 0 for v in gap["by_seed"]) and len(gap["by_seed"]) > 1
    if gap["p"] < 0.05 and agree:
        return f"the class token {'wins' if value > 0 else 'loses'} ({told})"
    why = "the seeds do not agree" if gap["p"] < 0.05 else "not told apart"
    return f"{why} ({told})"


def missing(results: list[dict[str, Any]]) -> str:
    """Which parts are not there."""
    there = {(one["objective"], one["depth"]) for one in results}
    left = [f"{OBJECTIVES[objective]}, {depth} blocks" for objective, depth in CELLS if (objective, depth) not in there]
    if not left:
        return ""
    return f"**Not measured yet** (the command goes on with them): {'; '.join(left)}. Nothing is said of these."


def section(one: dict[str, Any]) -> str:
    """One question: every candidate, and every pair."""
    head = f"### {begun(one['task'])} ({one['metric']}, {one['seeds']} seed{'s' * (one['seeds'] > 1)})"
    lines = ["| group | vector | score | by seed |", "|---|---|---|---|"]
    for row in one["candidates"]:
        seeds = ", ".join(f"{value:.3f}" for value in row["by_seed"])
        known = row["low"] is not None and row["high"] is not None
        score = f"{row['value']:.3f}" + (f" [{row['low']:.3f}, {row['high']:.3f}]" if known else "")
        lines.append(f"| {row['group']} | {NAMES[row['name']]} | {score} | {seeds} |")
    said = f"These faces show a difference of {100 * one['detectable']:.1f} points in 80 % of cases."
    return "\n\n".join([head, "\n".join(lines), said])


def rates(tuning: list[dict[str, Any]]) -> str:
    """What every rate gave on held-out faces."""
    lines = ["| training | blocks | vector | rate: score on held-out faces | chosen |", "|---|---|---|---|---|"]
    for row in tuning:
        tried = "; ".join(f"{rate}: {score:.3f}" for rate, score in row["tried"].items())
        name = NAMES[row["pooling"]].split(",")[0]
        edge = " (the last one tried on that side)" if row["best"] in (RATES[0], RATES[-1]) else ""
        lines.append(f"| {row['objective']} | {row['depth']} | {name} | {tried} | {row['best']:g}{edge} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
