"""Write docs/studies/compare.md from the results that `compare.py` beside it measured."""

from pathlib import Path

from classtoken.comparison.learned import RATES
from classtoken.comparison.words import advice_of
from classtoken.results.compare import CompareResult, MetricScore, read_result
from classtoken.results.compare_words import left_out_in_words

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "studies" / "compare"
PAGE = ROOT / "docs" / "studies" / "compare.md"
ABOUT = {
    "stsb": "all-MiniLM-L6-v2 on STS-B (development part), pairs of sentences scored from 0 to 5",
    "clothing": "DeiT-Tiny on every second photograph of clothing-dev, ten kinds of clothes",
    "coco": "DeiT-Tiny on coco128-train, what is in a photograph",
    "trec": "all-MiniLM-L6-v2 on TREC, six kinds of questions",
    "banking77": "all-MiniLM-L6-v2 on banking77, 77 intents",
    "goemotions": "all-MiniLM-L6-v2 on GoEmotions, 28 emotions",
    "coco-patches": "DeiT-Tiny on coco128-train, what every patch shows",
}
INTRODUCTION = """
# Which vector is best: measured

Written by `python tools/studies/compare_page.py` from the JSON files in [compare/](compare), which
`python tools/studies/compare.py STUDY` writes with [`compare`](../compare.md). Intervals are of 95 % over test items
(or clusters of them), not over trainings of the encoder. Candidates of one group cannot be told apart from its best:
paired permutation tests of every pair, corrected together, at 5 %. Controls are heads trained in the same way on the
mean. What is said holds for the named model on the named data, and for no other until measured.
"""


def main() -> None:
    """Write the page."""
    parts = [INTRODUCTION.strip()]
    for path in sorted(RESULTS.glob("*.json")):
        if path.stem.rpartition("-")[0] in ABOUT:  # the others have pages of their own
            parts.append(section(path.stem, read_result(path)))
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def section(stem: str, found: CompareResult) -> str:
    """One study and task."""
    name, _, task = stem.rpartition("-")
    said = advice_of(found.candidates, found.differences, found.metric)  # in today's words, whenever it was measured
    units = "" if found.units == found.items else f" in {found.units} clusters ({found.clusters})"
    lines = [
        f"## {ABOUT[name]}: {task}",
        f"{found.items} test items{units}; ranked by {found.metric}; these items show a difference of "
        f"{found.detectable:.3f} in 80 % of cases. [All numbers](compare/{stem}.json)",
        f"**{said.line}** {said.sure}",
        table(found),
    ]
    if found.by_layer:
        lines.append(layers(found))
    lines += [f"- {note}" for note in (*unlearned(found), *fewer_rates(found), *found.notes)]
    lines += [f"- Left out: {line}." for line in left_out_in_words(found.refused)]
    return "\n\n".join(lines)


def unlearned(found: CompareResult) -> list[str]:
    """Learned poolings that the plain mean with the same training clearly beats: their budget was too small."""
    plain = "mean, trained in the same way"
    names = {one.name for one in found.candidates if one.role == "candidate" and one.cost.own_parameters}
    return [
        f"{d.second} is clearly worse than the mean trained in the same way: it hardly learned within this budget, and "
        "nothing is said of what more steps would give."
        for d in found.differences
        if d.first == plain and d.second in names and d.adjusted < 0.05
    ]


def fewer_rates(found: CompareResult) -> list[str]:
    """What was measured before the largest of today's rates was tried."""
    protocol = found.protocol.settings.get("learned poolings and their controls", "")
    largest = f"{max(RATES):g}"
    return (
        [f"Learned poolings and controls: without today's largest rate, {largest}."]
        if protocol and f"{largest})" not in protocol
        else []
    )


def table(found: CompareResult) -> str:
    """Every candidate."""
    head, *rows = found.table()
    marks = ["|" + "|".join(" --- " for _ in head) + "|"]
    written = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    return "\n".join([written[0], *marks, *written[1:]])


def layers(found: CompareResult) -> str:
    """The metric after every block."""
    blocks = sorted({layer for curve in found.by_layer for layer in curve.layers})
    lines = [f"After every block, without the final norm ({found.metric}; 0: the embeddings):", ""]
    lines += ["| block | " + " | ".join(map(str, blocks)) + " |", "|" + " --- |" * (len(blocks) + 1)]
    for curve in found.by_layer:
        known: dict[int, MetricScore] = dict(zip(curve.layers, curve.scores, strict=True))
        cells = [f"{known[block].value:.3f}" if block in known else "" for block in blocks]
        lines.append(f"| {curve.pooling} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
