"""Write docs/studies/queries.md from the results of `compare.py` beside it that have learned queries."""

from compare_page import ABOUT, RESULTS, ROOT, table

from classtoken.results.compare import CompareResult, read_result

PAGE = ROOT / "docs" / "studies" / "queries.md"
WANTED = ("trec-queries", "clothing-queries", "banking77-queries", "goemotions-queries")
MIND = {
    "all-MiniLM-L6-v2": "This encoder was trained to be averaged: nobody ever read its class token, so that to beat "
    "that one proves little. The control of equal size and the mean are the comparisons that count.",
}
INTRODUCTION = """
# Do k learned queries beat one class token?

A class token is one learned query that reads the patches or words while the encoder computes. Afterwards one can learn
more of them: k queries, each of which takes its own weighted mean of the last states, the k results being one vector
again. They have more parameters than a class token or a mean, so that being better proves little by itself: a larger
head on the plain mean might do as much. So every pooling here stands beside a **control of equal size**: the mean with
a hidden layer of as many parameters, trained with the same steps, rates and seeds ([compare](../compare.md) says how).

**How to read it.** "Queries win" is said only where the paired test of both on the same items, corrected for all pairs,
finds it. Points are hundredths of accuracy, or of mean average precision where there are several labels. Encoders are
frozen. What is said holds for the named encoder on the named data.

`python tools/studies/compare.py trec-queries clothing-queries banking77-queries goemotions-queries` measures, and
`python tools/studies/queries_page.py` writes this page.
"""


def main() -> None:
    """Write the page."""
    parts = [INTRODUCTION.strip()]
    measured = []
    paths = [path for task in ("classification", "multilabel") for path in sorted(RESULTS.glob(f"*-{task}.json"))]
    for path in paths:
        found, (name, _, task) = read_result(path), path.stem.rpartition("-")
        if (RESULTS / f"{name}-queries-{task}.json").exists():
            continue  # the study of several numbers of queries holds what this one says of one
        if any(one.name.startswith("queries") for one in found.candidates):
            measured.append(name)
            title = ABOUT[name.removesuffix("-queries")]
            mind = [said for model, said in MIND.items() if title.startswith(model)]
            parts += [
                f"## {title[0].upper()}{title[1:]}",
                verdicts(found),
                *mind,
                table(found),
                f"[All numbers](compare/{path.name})",
            ]
    left = [name for name in WANTED if name not in measured]
    if left:
        parts.append(f"**Not measured yet** (the command above does it): {', '.join(left)}. Nothing is said of these.")
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def verdicts(found: CompareResult) -> str:
    """Every number of queries against its control, one class token, the mean and attention with one query."""
    names = [one.name for one in found.candidates]
    lines = []
    for name in sorted(one for one in names if one.startswith("queries")):
        control = f"mean, hidden layer as large as {name}"
        rivals = {"its control of equal size": control, "the class token": "cls", "the mean": "mean"}
        said = [f"{against(found, name, other)} {called}" for called, other in rivals.items() if other in names]
        lines.append(f"- **{name}** {'; '.join(said)}.")
    return "\n".join(lines)


def against(found: CompareResult, name: str, other: str) -> str:
    """`wins (+5.8 points [+3.5, +8.3]) against`, `loses`, or `is not told apart from`; points are hundredths."""
    gap = next(d for d in found.differences if {d.first, d.second} == {name, other})
    sign = 1 if gap.first == name else -1
    low, high = sorted(100 * sign * end for end in (gap.low, gap.high))
    told = f"{100 * sign * gap.value:+.1f} points [{low:+.1f}, {high:+.1f}]"
    if gap.adjusted >= 0.05:
        return f"is not told apart ({told}) from"
    return f"{'wins' if sign * gap.value > 0 else 'loses'} ({told}) against"


if __name__ == "__main__":
    main()
