"""Sections of `explain` that change something and run the model again."""

from statistics import median

from classtoken.report.charts import Dot, Series, dots, lines, matrix
from classtoken.report.html import Section, folded, row, table
from classtoken.report.svg import shown
from classtoken.results.explain import Explanation, KnockOut

MODES = {
    "renormalise": "the other tokens share the freed weight",
    "zero": "nothing takes its place",
    "mean": "the mean over the donors takes its place",
    "resample": "the donor's own takes its place",
    "removed": "the token is not in the sequence",
}


def matters(found: Explanation) -> Section:
    """Knock-outs in every mode that was tried, each beside its random controls, and single heads."""
    body = ""
    for what in dict.fromkeys(k.what for k in found.knockouts):
        same = [k for k in found.knockouts if k.what == what]
        points = [point for k in same for point in _dots(k)]
        before = shown(found.knockouts[0].before)
        body += dots(points, heading=found.named(same[0]), x_label=f"size of the change, from {before}", width=620)
    if found.knockouts:
        rows = [(k.what, k.mode, f"{shown(k.before)} to {shown(k.after)}", k.beside_null) for k in found.knockouts]
        head = ("what was taken away", "mode", "the answer goes from", "beside random ones")
        body += folded("all numbers", table(head, rows))
    if found.head_effects:
        body += matrix(
            found.head_effects,
            heading="What the answer loses without one head (its output set to zero)",
            diverging=True,
        )
    modes = "; ".join(f"{mode}: {says}" for mode, says in MODES.items() if _used(found, mode))
    return Section(
        "What the answer loses without a look, a head or a layer",
        "Something is taken away and the model run again. The grey dot is the median of other cuts of equal size (all "
        "of them, or distinct ones drawn at random), its line their whole range. The verdict is by p, corrected for "
        "the knock-outs shown here: needed (the answer falls), in its way (it rises), no more than chance, or too few "
        "others to tell. "
        f"Modes: {modes}.",
        body,
    )


def _used(found: Explanation, mode: str) -> bool:
    return any(k.mode == mode for k in found.knockouts)


def _dots(k: KnockOut) -> list[Dot]:
    """A knock-out and its random controls, by the size of what they change."""
    own, effects = abs(k.after - k.before), sorted(abs(v - k.before) for v in k.null)
    points = [Dot(k.mode, own, own, own)]
    if effects:
        middle = median(effects)
        points.append(Dot(f"{k.mode}, {len(effects)} others", middle, effects[0], effects[-1], control=True))
    return points


def swapped(found: Explanation) -> Section:
    """Another input's states put in, layer by layer, role by role."""
    if not found.swaps or found.donor is None:
        return Section("", "")
    names = {"CLASS": "class token", "CONTENT": "patches" if found.grid else "word pieces"}
    series = []
    for what in dict.fromkeys(step.what for step in found.swaps):
        steps = [step for step in found.swaps if step.what == what]
        xs, ys = tuple(float(s.layer) for s in steps), tuple(s.target for s in steps)
        series.append(Series(names.get(what, what.lower()), xs, ys))
    unit = "probability" if found.outcome == "probability" else "length along the vector"
    body = row(
        lines(
            series,
            heading=f"{found.target_label}, with states of the other input",
            x_label="before layer",
            y_label=unit,
            width=560,
        )
    )
    rows = [
        (names.get(s.what, s.what.lower()), str(s.layer), shown(s.target), s.best, shown(s.best_probability))
        for s in found.swaps
    ]
    head = ("states of", "before layer", "the explained", "then answered", "with")
    body += folded("all numbers", table(head, rows, numbers=(1, 2, 4)))
    answer = f", which the model calls {found.donor.answer}" if found.donor.answer else ""
    return Section(
        f"With states of {found.donor.name}",
        f"States of another input{answer}, are put in before a layer, for all tokens of a role, and the model run on. "
        "Where the class token can be exchanged and the answer stays, what it held there was not needed.",
        body,
    )
