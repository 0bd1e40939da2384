"""The page of `explain --with`: two inputs, and lines between the parts that met."""

from collections.abc import Sequence
from html import escape

from classtoken.report.colour import SERIES, hexed, ink_on, signed
from classtoken.report.html import Section, folded, page, row, table
from classtoken.report.maps import heat_map
from classtoken.report.svg import element, figure, shown, text, title
from classtoken.report.words import shaded_words
from classtoken.results.explain_pair import Meeting, PairExplanation, PairInput

WIDE = 520
LINES = 12
"""pairs that are drawn as lines"""
SIDE = 300
ROW = 24


def pair_page(found: PairExplanation) -> str:
    """One self-contained HTML file."""
    lead = f"model {found.model}; read out: {found.readout}; cosine {found.similarity:.3f}"
    sections = [_meetings(found), _each(found), _matters(found), _sums(found)]
    heading = f"Why alike: “{found.item.name}” and “{found.other.name}”"
    return page(heading, lead, [section for section in sections if section.body])


def _meetings(found: PairExplanation) -> Section:
    best = found.strongest(LINES)
    head = ("part of the first", "part of the second", "share of what pairs add", "together")
    opposed = found.strongest(4, apart=True)
    against = (
        table((*head[:2], "share of what pairs take away", "apart"), _rows(found, opposed), numbers=(2, 3))
        if opposed
        else ""
    )
    drawn = (
        [_between_texts(found, best)]
        if found.item.grid is None and found.other.grid is None
        else _lettered(found, best)
    )
    return Section(
        "What met what",
        found.conclusion,
        row(*drawn, table(head, _rows(found, best), numbers=(2, 3)) + against),
        "A share says what the model's numbers do, not why a person would find the two alike.",
    )


def _rows(found: PairExplanation, pairs: Sequence[Meeting]) -> list[tuple[str, str, str, str]]:
    return [
        (found.item.called(m.region), found.other.called(m.other), f"{100 * m.share:.1f} %", f"{m.value:+.4f}")
        for m in pairs
    ]


def _between_texts(found: PairExplanation, best: Sequence[Meeting]) -> str:
    """The parts of both texts in two columns, a line for each of the strongest pairs, its width the share."""
    columns = (found.item, found.other)
    tall = 30 + ROW * max(len(side.regions) for side in columns)
    left, right = WIDE * 0.34, WIDE * 0.66
    most = max((m.share for m in best), default=1.0)
    lines = [
        element(
            "line",
            [title(f"{found.item.called(m.region)} and {found.other.called(m.other)}: {100 * m.share:.1f} %")],
            x1=left + 8,
            x2=right - 8,
            y1=30 + ROW * (m.region + 0.5),
            y2=30 + ROW * (m.other + 0.5),
            stroke=SERIES[1],
            stroke_width=1 + 7 * m.share / most,
            stroke_opacity=0.3 + 0.6 * m.share / most,
            stroke_linecap="round",
        )
        for m in reversed(best)
    ]
    words = [
        text(left, 14, "the first", text_anchor="end", class_="title"),
        text(right, 14, "the second", class_="title"),
    ]
    for side, x, anchor in ((found.item, left, "end"), (found.other, right, "start")):
        for i in range(len(side.regions)):
            words.append(text(x, 30 + ROW * (i + 0.5) + 5, side.called(i), within=WIDE * 0.34, text_anchor=anchor))
    label = f"lines between the {len(best)} pairs of parts that bring the two together most"
    return figure(WIDE, tall + 8, [*lines, *words], label=label)


def _lettered(found: PairExplanation, best: Sequence[Meeting]) -> list[str]:
    """Pictures with the strongest pairs' regions numbered alike; texts with the numbers behind their words."""
    return [_numbered(side, which, best) for which, side in enumerate((found.item, found.other))]


def _numbered(side: PairInput, which: int, best: Sequence[Meeting]) -> str:
    numbers: dict[int, list[int]] = {}
    for n, m in enumerate(best[:9], start=1):
        numbers.setdefault(m.other if which else m.region, []).append(n)
    if side.grid is None:
        below = {i: " ".join(map(str, found)) for i, found in numbers.items()}
        boxes = "".join(
            f'<span class="word">{escape(side.called(i))}<small>{below.get(i, "·")}</small></span>'
            for i in range(len(side.regions))
        )
        return f'<p class="words">{boxes}</p>'
    rows, columns = side.grid
    step = SIDE / max(side.grid)
    parts = []
    if side.image:
        parts.append(
            element(
                "image", href=side.image, x=0, y=0, width=columns * step, height=rows * step, preserveAspectRatio="none"
            )
        )
    for region, found in numbers.items():
        cells = [cell for cell in (side.tokens[i].cell for i in side.regions[region]) if cell is not None]
        (top, left), (bottom, right) = min(cells), max(cells)
        place = {
            "x": left * step,
            "y": top * step,
            "width": (right - left + 1) * step,
            "height": (bottom - top + 1) * step,
        }
        parts.append(element("rect", fill="none", stroke="#000", stroke_width=3, **place))
        parts.append(element("rect", fill="none", stroke="#fff", stroke_width=1.4, **place))
        label = " ".join(map(str, found))
        parts.append(
            element("rect", x=place["x"] + 2, y=place["y"] + 2, width=8 + 8 * len(label), height=17, fill="#000")
        )
        parts.append(text(place["x"] + 6, place["y"] + 15, label, style="fill:#fff", font_size=12))
    heading = f"the {'second' if which else 'first'}: {side.name}"
    drawn = [text(0, 14, heading, within=SIDE, class_="title"), element("g", parts, transform="translate(0 22)")]
    return figure(columns * step, rows * step + 24, drawn, label=f"{heading}; equal numbers met")


def _each(found: PairExplanation) -> Section:
    """What each part contributes with all parts of the other."""
    first = [sum(values) for values in found.pairs]
    second = [sum(values[j] for values in found.pairs) for j in range(len(found.other.regions))]
    pictures = [_marked(side, values) for side, values in ((found.item, first), (found.other, second))]
    return Section(
        "Each part with all of the other",
        "What a part contributes to the cosine together with everything in the other input. Blue makes it smaller.",
        row(*pictures),
    )


def _marked(side: PairInput, values: Sequence[float]) -> str:
    if side.grid is not None:
        rows, columns = side.grid
        spread = [0.0] * (rows * columns)
        for region, value in zip(side.regions, values, strict=True):
            for cell in (side.tokens[i].cell for i in region):
                if cell is not None:
                    spread[cell[0] * columns + cell[1]] = value
        return heat_map(spread, side.grid, heading=side.name, picture=side.image, diverging=True, side=SIDE, top=0)
    return shaded_words([side.called(i) for i in range(len(values))], values, diverging=True)


def _matters(found: PairExplanation) -> Section:
    rows = [(k.what, f"{k.before:.3f} to {k.after:.3f}", k.beside_null) for k in found.knockouts]
    if not rows:
        return Section("", "")
    return Section(
        "Does it matter?",
        "Parts are taken out of the sequence and the cosine is computed again, beside as many others at random.",
        table(("what was taken away", "the cosine goes from", "beside random ones"), rows),
    )


def _sums(found: PairExplanation) -> Section:
    names = [found.other.called(j) for j in range(len(found.other.regions))]
    most = max((abs(v) for values in found.pairs for v in values), default=1.0) or 1.0
    cells = []
    for i, values in enumerate(found.pairs):
        boxes = "".join(
            f'<td style="background:{hexed(signed(v / most))};color:{ink_on(signed(v / most))}" '
            f'title="{escape(names[j], quote=True)}: {shown(v)}">{v:.3f}</td>'
            for j, v in enumerate(values)
        )
        cells.append(f'<tr><th scope="row">{escape(found.item.called(i))}</th>{boxes}</tr>')
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(cells)}</tbody>"
    matrix = f'<div class="wide" tabindex="0"><table class="heat">{body}</table></div>'
    drawn = f" Orders were drawn: the standard error of a pair is at most {shown(found.error)}." if found.error else ""
    says = (
        f"cosine {found.similarity:.4f} = {found.together:+.4f} from pairs that bring the two together, "
        f"{found.apart:+.4f} from pairs that keep them apart, and {found.background:+.4f} that hangs on no "
        f"pair.{drawn} A part is what leaving it in does to the vector, averaged over every order in which parts "
        f"can come in (Shapley's value). {'. '.join(note[:1].upper() + note[1:] for note in found.notes)}."
    )
    return Section("How it adds up", says, folded("every pair", matrix))
