"""A comparison as one page: what to use, how sure that is, the ranking, and a picture per question."""

from html import escape

from classtoken.report.charts import Dot, dots
from classtoken.report.html import Section, folded, page, row, table
from classtoken.report.svg import shown
from classtoken.results.compare import CompareResult


def comparison_page(found: CompareResult) -> str:
    """The whole page."""
    sections = [_ranking(found), _differences(found), _protocol(found), _again(found)]
    lead = f"{found.sure} {found.items} test items of {found.source}, judged by {found.metric} ({found.protocol.task})."
    return page(found.advice, lead, sections)


def _ranking(found: CompareResult) -> Section:
    head, *rows = found.table()
    drawn = dots(
        [
            Dot(
                one.name,
                score.value,
                *((score.low, score.high) if score.method != "none" else (score.value,) * 2),
                control=one.role == "control",
            )
            for one in found.candidates
            for score in (one.metrics[found.metric],)
        ],
        heading=f"{found.metric} with 95 % intervals",
        x_label=found.metric,
    )
    return Section(
        "The ranking",
        "Candidates of one group cannot be told apart from its best: these items do not show which is better.",
        table(head, rows, numbers=range(2, len(head))) + row(drawn),
    )


def _differences(found: CompareResult) -> Section:
    head = ("first", "second", "difference", "95 %", "p, corrected", "effect", "better on", "worse on")
    rows = [
        (
            d.first,
            d.second,
            shown(d.value),
            f"[{shown(d.low)}, {shown(d.high)}]",
            shown(d.adjusted),
            shown(d.effect),
            str(d.wins),
            str(d.losses),
        )
        for d in found.differences
    ]
    says = (
        "Every pair on the same items: the difference, and how often chance alone gives as much (a paired permutation "
        f"test, corrected for all pairs after Holm). These items show a difference of {shown(found.detectable)} or "
        "more in 80 % of cases."
    )
    return Section("Differences", says, folded("all pairs", table(head, rows, numbers=(2, 4, 5, 6, 7))) if rows else "")


def _protocol(found: CompareResult) -> Section:
    rows = [*found.protocol.settings.items(), ("data", found.protocol.data), *found.fingerprints.items()]
    rows += [(f"left out: {name}", why) for name, why in found.left_out.items()]
    body = table(("what", "how"), rows)
    if found.refused:
        body += folded(
            f"{len(found.refused)} items that do not count",
            table(("item", "why"), [(entry.id, entry.reason) for entry in found.refused[:200]]),
        )
    return Section("What was done", " ".join(found.notes) or "Nothing was left out.", body)


def _again(found: CompareResult) -> Section:
    made = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    body = f"<pre><code>{escape(found.command)}</code></pre><p>{escape(made)}</p>"
    return Section("To run it again", f"It took {found.seconds:.0f} s.", body)
