"""The page of `explain --data`: each finding with n, interval and the same for random weights."""

from collections.abc import Iterable
from html import escape

from classtoken.report.charts import Dot, Series, dots, lines, matrix
from classtoken.report.html import Section, folded, page, row, table
from classtoken.report.maps import heat_map
from classtoken.report.svg import shown
from classtoken.results.explain_data import ByLayer, ClassTokens, Findings
from classtoken.results.statistics import Interval

MEASURES = {
    "deletion": "area under the deletion curve (low is good)",
    "insertion": "area under the insertion curve (high is good)",
    "saco": "SaCo (1 is best, 0 is nothing)",
    "pointing": "the strongest patch is on the object (share)",
    "mass/area": "relevance on the object / its area (1 is chance)",
    "iou": "overlap of the strongest patches with the object",
    "precision": "average precision of patches on the object",
}
PHONE = 400
"""width of a chart that a phone shows at its own size, nearly"""
TOO_FEW = "no interval: too few inputs, or too few differ"


def intervals_in_words(values: Iterable[Interval]) -> str:
    """What the intervals of these means are, or that there are none."""
    if all(v.known for v in values):
        return "Means over inputs with 95 % intervals"
    return "Means over inputs; where too few differ for an interval that covers, none is given"


def findings_page(found: Findings) -> str:
    """One self-contained HTML file."""
    sections = [_layers(found), _heads(found), _ranking(found), _swap(found), _coverage(found), _tokens(found)]
    lead = f"model {found.model}; {found.n} inputs of {found.data}; read out: {found.readout}"
    notes = "".join(f"<li>{_plain(note)}</li>" for note in found.notes)
    sections.append(Section("Before you believe this page", f"Control: {found.control}.", f"<ul>{notes}</ul>"))
    return page(f"What {found.model} looks at, over a data set", lead, [s for s in sections if s.body])


def by_layer_figure(row_: ByLayer, n: int, *, width: float = 500) -> str:
    """A number by layer with its band, and the control's."""
    series = [_series("model", row_.values)]
    if row_.control:
        series.append(_series("random weights", row_.control, control=True))
    return lines(series, heading=f"{row_.title} (n = {n})", x_label="layer", y_label=row_.unit, width=width, height=260)


def ranking_figure(found: Findings, measure: str, *, width: float = 660) -> str:
    """A measure of every map with its interval; the dashed line is random scores."""
    rows, random = [], None
    for method in found.ranking:
        score = method.score(measure)
        if score is None:
            continue
        v = score.value
        rows.append(Dot(method.title, v.estimate, *_limits(v), method.control))
        random = v.estimate if method.name == "random" else random
    rows.sort(key=lambda dot: dot.value, reverse=measure != "deletion")
    n = max(score.value.n for m in found.ranking if (score := m.score(measure)) is not None)
    label = MEASURES.get(measure, measure)
    return dots(rows, heading=f"{label}, n = {n}", x_label=measure, width=width, reference=random)


def shares_figure(found: Findings, *, width: float = 560, key: bool = False) -> str:
    """Swaps: whose answer it is, by the layer before which the class token was exchanged."""
    series = [_series("own answer kept", found.swap), _series("other input's answer", found.swap_donor)]
    if found.swap_control:
        series.append(_series("own answer kept, random weights", found.swap_control, control=True))
    return lines(
        series,
        heading=f"Another input's class token put in (n = {found.swap[0].n})",
        x_label="before layer",
        y_label="share of inputs",
        y_range=(-0.03, 1.03),
        width=width,
        key=key,
    )


def lens_figure(found: Findings, *, width: float = 560, key: bool = False) -> str:
    """The lens by layer."""
    series = [_series(found.lens_of, found.lens)]
    if found.lens_control:
        series.append(_series("random weights", found.lens_control, control=True))
    return lines(
        series,
        heading=f"Lens: {found.lens_of} (n = {found.lens[0].n})" if not key else f"Lens (n = {found.lens[0].n})",
        x_label="layers done",
        y_label="share",
        y_range=(-0.03, 1.03),
        width=width,
        key=key,
    )


def measures_of(found: Findings) -> tuple[str, ...]:
    """Measures that any map has, in a fixed order."""
    there = {score.measure for method in found.ranking for score in method.scores}
    return tuple(m for m in MEASURES if m in there)


def _series(name: str, values: tuple[Interval, ...], *, control: bool = False) -> Series:
    xs = tuple(float(i) for i in range(len(values)))
    return Series(
        name,
        xs,
        tuple(v.estimate for v in values),
        tuple(_limits(v)[0] for v in values),
        tuple(_limits(v)[1] for v in values),
        control,
    )


def _limits(v: Interval) -> tuple[float, float]:
    """Of what is drawn: the number alone where it has no interval."""
    return (v.low, v.high) if v.known else (v.estimate, v.estimate)


def _layers(found: Findings) -> Section:
    body = row(*(by_layer_figure(r, found.n, width=PHONE) for r in found.layers))
    rows = [
        (
            r.title,
            str(i),
            shown(v.estimate),
            f"{shown(v.low)} to {shown(v.high)}" if v.known else TOO_FEW,
            shown(r.control[i].estimate) if r.control else "",
        )
        for r in found.layers
        for i, v in enumerate(r.values)
    ]
    body += folded("all numbers", table(("what", "layer", "mean", "95 %", "random weights"), rows, numbers=(1, 2, 4)))
    return Section(
        "Layer by layer",
        f"{intervals_in_words(v for r in found.layers for v in r.values)}; grey is the same architecture, its weights "
        "in random order. The grey line is of one shuffle: another one differs by a few hundredths, so read small "
        "gaps as none.",
        body if found.layers else "",
    )


def _heads(found: Findings) -> Section:
    entropy = next((r for r in found.layers if r.name == "relative_entropy" and r.per_head), None)
    if entropy is None or len(entropy.per_head[0]) > 16:
        return Section("", "")
    figure = matrix(entropy.per_head, heading="Entropy, 1 is uniform")
    says = (
        "Entropy of the class token's attention: heads of one layer may do opposite things, which a mean over heads "
        "hides."
    )
    return Section("Head by head", says, figure)


def _ranking(found: Findings) -> Section:
    if not found.ranking or not measures_of(found):
        return Section("", "")
    body = row(*(ranking_figure(found, measure, width=PHONE) for measure in measures_of(found)))
    rows = []
    for method in found.ranking:
        score = method.score("deletion") or (method.scores[0] if method.scores else None)
        if score is None:
            continue
        verdict = {None: "not shown", True: "yes", False: "worse"}[score.beats_random]
        rows.append(
            (
                method.title,
                "control" if method.control else str(method.n),
                _over(score.over_random),
                "" if score.p is None else shown(score.p),
                "" if score.over_random is None else verdict,
                _over(score.over_edges),
                _over(score.over_control),
                "" if method.sanity is None else shown(method.sanity.estimate),
            )
        )
    measure = "deletion area" if found.ranking[0].score("deletion") else measures_of(found)[0]
    head = (
        "map",
        "n",
        f"better than random by ({measure})",
        "p (Holm)",
        "beats random?",
        "better than edges by",
        "better than random weights' map by",
        "correlation with it",
    )
    body += table(head, rows, numbers=(1, 3, 7))
    return Section(
        "Which maps are right?",
        "Every map is tested by removing tokens in its order, on the same inputs. "
        f"{intervals_in_words(s.value for m in found.ranking for s in m.scores)}. The "
        "table compares each, input by input, with random scores (p is adjusted for as many maps as there are), with "
        "an edge detector, and with the map that the same method makes of random weights.",
        body,
        "Beating random scores is a low bar: where an edge detector clears it, the picture is enough to do so.",
    )


def _over(value: Interval | None) -> str:
    if value is None:
        return ""
    return shown(value.estimate) + (f" [{shown(value.low)}, {shown(value.high)}]" if value.known else f" ({TOO_FEW})")


def _swap(found: Findings) -> Section:
    figures = []
    if found.swap:
        figures.append(shares_figure(found, width=PHONE, key=True))
    if found.lens:
        figures.append(lens_figure(found, width=PHONE, key=True))
    return Section(
        "Is the class token's early state used?",
        "First: the class token before layer l is replaced by another input's, and the model run on. While the own "
        "answer stays, what the class token held at that layer was not needed."
        + (f" Then the lens, what can be read off at a layer: {found.lens_of}." if found.lens else ""),
        row(*figures) if figures else "",
        "What can be decoded at a layer need not be used there: compare the two.",
    )


def _coverage(found: Findings) -> Section:
    maps = [
        heat_map(c.mean, c.grid, heading=f"{c.group} (n = {c.n})", unit="share of weight", outline=c.never, side=210)
        for c in found.coverage[:7]
    ]
    return Section(
        "Where it looks, and where it never does",
        "Mean share of the class token's attention per place, over layers and heads; white rings mark places that get "
        "less than half of an even share in at least 95 % of the inputs.",
        row(*maps) if maps else "",
    )


def token_figures(t: ClassTokens) -> dict[str, str]:
    """Cosine by layer of several class tokens, and what each knows of each label."""
    series = [_series("model", t.cosine)]
    if t.control_cosine:
        series.append(_series("random weights", t.control_cosine, control=True))
    drawn = {
        "tokens-cosine": lines(
            series,
            heading=f"Cosine of the states of {t.count} class tokens (n = {t.cosine[0].n})",
            x_label="layers done",
            y_label="mean over pairs",
            width=500,
            height=260,
        )
    }
    if t.knows is not None:
        drawn["tokens-know"] = matrix(
            t.knows.precision,
            heading="Average precision of a probe on one class token's last state",
            row_label="token",
            column_label="label",
            column_names=t.labels,
            cell=60,
        )
    return drawn


def _tokens(found: Findings) -> Section:
    t = found.tokens
    if t is None:
        return Section("", "")
    said = "" if t.overlap is None else f" Their last attention maps share {shown(t.overlap.estimate)} of their mass"
    if t.overlap is not None and t.control_overlap is not None:
        said += f" (random weights: {shown(t.control_overlap.estimate)})"
    body = row(*token_figures(t).values())
    if t.knows is not None:
        rows = [("model", t.knows)] + ([("random weights", t.control_knows)] if t.control_knows else [])
        head = ("", "interaction of token and label", "with exchanged tokens", "95 % of those below", "p")
        body += table(
            head,
            [(name, *(shown(v) for v in (k.observed, k.by_chance, k.chance_high, k.p))) for name, k in rows],
            numbers=range(1, 5),
        )
    return Section(
        f"{t.count} class tokens",
        f"A cosine of 1 is collapse: all of them hold the same.{said}{'.' if said else ''}",
        body,
        "Tokens specialise when some know one label better and others another: the interaction, against tokens that "
        "are exchanged at random within every input.",
    )


def _plain(words: str) -> str:
    return escape(words)
