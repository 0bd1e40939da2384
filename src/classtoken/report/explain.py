"""The page of `explain`: every picture with its definition, and beside it whether it matters."""

from collections import Counter
from dataclasses import replace
from html import escape

from classtoken.report.charts import Series, lines
from classtoken.report.html import Section, as_given, folded, page, row, table
from classtoken.report.knockouts import matters, swapped
from classtoken.report.looking import attention, depth, detours, sinks, unseen
from classtoken.report.maps import SIDE, heat_map
from classtoken.report.png import Panel
from classtoken.report.step_by_step import step_by_step
from classtoken.report.svg import shown
from classtoken.report.verdict import verdict
from classtoken.report.words import shaded_words
from classtoken.results.base import counted
from classtoken.results.explain import Explanation, RelevanceMap

LARGE = 400
"""pixels a side of the best tested map"""
DRAWN = 3
"""maps whose deletion curves are drawn; the table has all"""


def explanation_page(found: Explanation) -> str:
    """One self-contained HTML file: the verdict, the best tested map, and everything else folded."""
    first = [verdict(found), _best(found)]
    rest = [_answer(found), _maps(found), _faithful(found)]
    if found.layers:
        rest += [attention(found), depth(found)]
    rest += [matters(found), swapped(found), unseen(found), detours(found), sinks(found), _notes(found)]
    lead = f"model {found.model}; read out: {found.readout}; explained: {found.target_label}"
    if found.outcome == "probability":
        lead += f", {found.amount(found.before)}"
    sections = [*first, *(replace(section, folded=True) for section in rest), step_by_step(found.given)]
    why = f"Why “{found.target_label}”" if found.outcome == "probability" else "Why this vector"
    return page(f"{why}: {found.item}", lead, [s for s in sections if s.body])


def panels(found: Explanation) -> list[Panel]:
    """The maps as panels of a picture file, controls left out."""
    return [Panel(m.title, m.scores, m.signed) for m in found.maps if m.scores and not m.control]


def _answer(found: Explanation) -> Section:
    body = ""
    if found.answers:
        t = found.temperature
        logit = "logit" if t == 1 else f"logit / {t:.3g}, the temperature"
        top = [(a.label, f"{100 * a.probability:.2f} %", f"{a.outcome / t:.2f}") for a in found.answers]
        body += table(("class", "probability", logit), top, numbers=(1, 2))
    picture = f'<img src="{found.image}" alt="the input as the model saw it" width="160">' if found.image else ""
    parts = [part for part in (picture, body or f"<p>{shown(found.before)}</p>") if part]
    if found.lens:
        parts.append(_lens(found))
    says = (
        f"Explained is {found.target_label}"
        + (f", which gets {100 * found.before:.1f} %." if found.outcome == "probability" else ".")
        + (" The curve applies the model's own classifier to the state after every layer." if found.lens else "")
    )
    mind = (
        "That an answer could be read off at a layer does not mean that the model uses it there." if found.lens else ""
    )
    best = ", ".join(f"{a.label} {100 * a.probability:.1f} %" for a in found.answers[:3])
    return Section("All answers", says, row(*parts), mind, result=best)


def _lens(found: Explanation) -> str:
    xs = tuple(float(step.layer) for step in found.lens)
    series = [Series(found.target_label, xs, tuple(step.target for step in found.lens))]
    return lines(
        series,
        heading="If it had to answer after layer ...",
        x_label="layers done",
        y_label="probability",
        width=400,
        height=240,
        y_range=(0.0, 1.02),
    )


def _drawn(found: Explanation) -> list[RelevanceMap]:
    """The maps that there are, best tested first."""
    return [m for m in found.by_test if m.scores and not m.control]


def _best(found: Explanation) -> Section:
    """The map that stood the test best, large."""
    drawn = _drawn(found)
    if not drawn:
        return Section("", "")
    best = drawn[0]
    judged = sum(m.by_removal == best.by_removal for m in drawn)
    best_of = f"the best of {judged} by the deletion test" if best.deletion is not None else f"one of {len(drawn)}"
    tested = best_of if len(drawn) > 1 else "the only map that was drawn"
    itself = [m.title for m in drawn if m.by_removal != best.by_removal]
    not_judged = f" ({' and '.join(itself)} is made by that test itself, and not judged by it)" if itself else ""
    strongest = "The three strongest are outlined, their numbers below" if found.grid else "Numbers are written out"
    colours = f" Blue speaks against the answer, orange for it, in {_unit(found)}." if best.signed else ""
    says = f"{best.says[:1].upper()}{best.says[1:]}: {tested}{not_judged}. {strongest}.{colours}"
    mind = "" if found.believed else "That it says what the answer rests on is not shown: see the verdict."
    pictures = _map(found, best, side=LARGE, caption=False) + as_given(found.original, found.image)
    return Section(f"Which parts of the input: {best.title}", says, pictures, mind, beside=True)


def _unit(found: Explanation) -> str:
    """What a signed map's numbers are of."""
    if found.outcome != "probability":
        return "the length along the vector"
    return "the logit" if found.temperature == 1 else f"the logit before it is divided by {found.temperature:.3g}"


def _maps(found: Explanation) -> Section:
    drawn = _drawn(found)[1:]
    refused = [(m.title, m.refused) for m in found.maps if m.refused]
    pictures = [_map(found, m) for m in drawn]
    body = row(*pictures) if found.grid and pictures else f'<div class="maps">{"".join(pictures)}</div>'
    if refused:
        body += folded("maps that were refused", table(("map", "why"), refused))
    return Section(
        f"The other {len(drawn)} maps, best tested first" if len(drawn) > 1 else "Other maps",
        "One picture a method, each on its own scale. Blue speaks against the answer, orange for it, in "
        f"{_unit(found)}.",
        body if drawn or refused else "",
        "The maps differ, so at most one of them can be right about everything: the next section tests them.",
        result=_agreement(found),
    )


def _agreement(found: Explanation) -> str:
    """How many maps call the same token the strongest."""
    drawn = [m for m in _drawn(found) if max(m.scores) > min(m.scores)]
    if len(drawn) < 2:
        return ""
    strongest = Counter(max(range(len(m.scores)), key=m.scores.__getitem__) for m in drawn)
    place, often = strongest.most_common(1)[0]
    name = found.token_name(found.content[place])
    return f"{often} of {len(drawn)} are strongest at {name}" if often > 1 else "each is strongest somewhere else"


def _map(found: Explanation, m: RelevanceMap, *, side: float = SIDE, caption: bool = True) -> str:
    if found.grid:
        picture = heat_map(m.scores, found.grid, heading=m.title, picture=found.image, diverging=m.signed, side=side)
        return f"{picture}<figcaption>{escape(m.says)}</figcaption>" if caption else picture
    words = [found.tokens[i].text for i in found.content]
    boxes = shaded_words(words, m.scores, diverging=m.signed)
    heading = f'<h3>{escape(m.title)}</h3><span class="ends">{escape(m.says)}</span>'
    return f"<div>{heading}{boxes}</div>" if caption else boxes


def _faithful(found: Explanation) -> Section:
    tested = [m for m in found.maps if m.deletion is not None and m.deletion_curve]
    if not tested or found.curves is None:
        return Section("", "")
    head = ("map", "deletion ↓", "insertion ↑", "SaCo ↑")
    by_deletion = [m for m in found.by_test if m in tested]
    rows = [
        (
            m.title + (" (control)" if m.control else " (made by removal itself)" if m.by_removal else ""),
            *(f"{v or 0:.3f}" for v in (m.deletion, m.insertion, m.saco)),
        )
        for m in by_deletion
    ]
    judged, controls = [m for m in by_deletion if not m.control], [m for m in tested if m.control]
    down = [
        Series(m.title, found.curves.fractions, m.deletion_curve, control=m.control)
        for m in (*judged[:DRAWN], *controls)
    ]
    unit = "probability" if found.outcome == "probability" else "length along the vector"
    curve = lines(
        down,
        heading="Deletion: the most relevant taken away first",
        y_label=unit,
        x_label="share of tokens removed",
        width=420,
        key=True,
    )
    random = next((m.deletion for m in controls if m.name == "random"), None)
    result = f"area under {judged[0].title}: {judged[0].deletion:.3f}" if judged else ""
    result += f"; under a random order: {random:.3f}" if judged and random is not None else ""
    definition = found.curves
    says = (
        "Tokens are truly removed from the sequence, in the order of each map. A map that knows what matters makes the "
        f"answer fall early. Drawn are the best {min(DRAWN, len(judged))} and, in grey, controls that know nothing of "
        "the model. In the table low is good under ↓, high under ↑; the best SaCo is 1."
    )
    if any(m.by_removal for m in judged):
        says += (
            " Occlusion is made by taking tokens away, which is the test as well: its figures flatter it, and it "
            "stands behind the others."
        )
    return Section(
        "Is any of these maps right?",
        says,
        row(curve, table(head, rows, numbers=(1, 2, 3))),
        f"Definition: {len(definition.fractions)} points from 0 % to {100 * definition.fractions[-1]:.3g} %, "
        f"{definition.absent}; ties {definition.ties} "
        f"(seed {definition.seed}); area: {definition.area}. One input proves little: see explain --data.",
        result=result,
    )


def _notes(found: Explanation) -> Section:
    items = "".join(f"<li>{escape(note)}</li>" for note in found.notes)
    body = f"<ul>{items}</ul>" if items else ""
    result = found.notes[0] if len(found.notes) == 1 else f"{counted(len(found.notes), 'remark')}"
    return Section("Before you believe this page", "What holds for this model and this input.", body, result=result)
