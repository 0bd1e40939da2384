"""Sections of `explain` that change something and run the model again."""

from html import escape

from classtoken.report.charts import Series, lines
from classtoken.report.heat_table import heat_table
from classtoken.report.html import Section, folded, row, table
from classtoken.report.strip import strip
from classtoken.report.svg import evenly
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
    strips = [_strip(found, k) for k in found.knockouts]
    body = row(*strips) if strips else ""
    if found.knockouts:
        rows = [
            (found.named(k), k.mode, f"{found.amount(k.before)} to {found.amount(k.after)}", found.beside(k))
            for k in found.knockouts
        ]
        head = ("what was taken away", "mode", "the answer goes from", "beside others")
        body += folded("the same in a table", table(head, rows))
    if found.head_effects:
        body += _heads(found)
    modes = "; ".join(f"{mode}: {says}" for mode, says in MODES.items() if _used(found, mode))
    return Section(
        "The answer without a look, a head or a layer",
        "Something is taken away and the model run again. Grey dots are other cuts of equal size (all of them, or "
        "distinct ones drawn at random). The verdict is by p, corrected for the knock-outs shown here: needed (the "
        "answer falls), in its way (it rises), no more than chance, or too few others to tell. "
        f"Modes: {modes}.",
        body,
        result=_most(found),
    )


def _used(found: Explanation, mode: str) -> bool:
    return any(k.mode == mode for k in found.knockouts)


def _strip(found: Explanation, k: KnockOut) -> str:
    """What was done, the picture, and the comparison in words."""
    called = {"whole": "nothing taken away", "without": "this cut", "others": "other cuts of this size"}
    drawn = strip(k, found.amount, percent=found.outcome == "probability", **called)
    heading = f"<h3>{escape(found.named(k))} ({escape(k.mode)})</h3>"
    return f"{heading}{drawn}<figcaption>{escape(found.beside(k))}</figcaption>"


def _heads(found: Explanation) -> str:
    """What the answer gains or loses without each head."""
    scale, unit = (100, "points") if found.outcome == "probability" else (1, "length along the vector")
    most = max(abs(v) for layer in found.head_effects for v in layer) or 1.0
    cells = [[(_signed(-scale * v, scale * most), v / most) for v in layer] for layer in found.head_effects]
    rows = [f"layer {n}" for n in range(len(cells))]
    columns = [f"head {n}" for n in range(len(cells[0]))]
    said = f"The answer without one head, whose output is set to zero: its change in {unit}. Orange: needed."
    return f"<h3>Single heads</h3><p>{said}</p>{heat_table(rows, columns, cells, diverging=True)}"


def _signed(value: float, largest: float) -> str:
    """A change with its sign, all with as many decimals; of percentage points one at least."""
    said = f"{value:+.1f}" if largest >= 10 else f"{'+' * (value > 0)}{evenly(value, largest)}"
    return said if float(said) else said.strip("+-")


def _most(found: Explanation) -> str:
    """The knock-out and the head that change the answer most."""
    said = []
    if found.knockouts:
        k = max(found.knockouts, key=lambda k: abs(k.after - k.before))
        said.append(f"by a cut: {found.amount(k.before)} to {found.amount(k.after)} at most")
    if found.head_effects:
        every = [(abs(v), v, i, j) for i, row in enumerate(found.head_effects) for j, v in enumerate(row)]
        _, v, i, j = max(every)
        said.append(f"by a single head: {found.change(v, 0.0)} at most (layer {i}, head {j})")
    return "; ".join(said)


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
            width=400,
        )
    )
    rows = [
        (
            names.get(s.what, s.what.lower()),
            str(s.layer),
            found.amount(s.target),
            s.best,
            found.amount(s.best_probability),
        )
        for s in found.swaps
    ]
    head = ("states of", "before layer", "the explained", "then answered", "with")
    body += folded("all numbers", table(head, rows, numbers=(1, 2, 4)))
    own = [step for step in found.swaps if step.what == "CLASS"]
    result = ""
    if own:
        result = (
            f"its class token's state: {found.amount(own[0].target)} when put in at the beginning, "
            f"{found.amount(own[-1].target)} at the end"
        )
    answer = f", which the model calls {found.donor.answer}" if found.donor.answer else ""
    return Section(
        f"With states of {found.donor.name}",
        f"States of another input{answer}, are put in before a layer, for all tokens of a role, and the model run on. "
        "Where the class token can be exchanged and the answer stays, what it held there was not needed.",
        body,
        result=result,
    )
