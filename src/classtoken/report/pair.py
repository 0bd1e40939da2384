"""The page of `explain --with`: two inputs, and lines between the parts that met."""

from collections.abc import Sequence
from html import escape

from classtoken.report.colour import SERIES
from classtoken.report.heat_table import heat_table
from classtoken.report.html import Section, as_given, folded, page, row, table
from classtoken.report.maps import heat_map
from classtoken.report.step_by_step import step_by_step
from classtoken.report.strip import strip
from classtoken.report.svg import element, figure, shown, text, title
from classtoken.report.words import shaded_words
from classtoken.results.explain import KnockOut
from classtoken.results.explain_pair import Meeting, PairExplanation, PairInput

WIDE = 400
LINES = 12
"""pairs that are drawn as lines"""
SIDE = 250
NUMBERED = 9
"""pairs that are numbered in pictures"""
ROW = 26
HOVER = (
    ".met line{stroke-opacity:.55}.met:hover line{stroke-opacity:1;stroke:var(--ink)}"
    ".met .hit,.met:hover .hit{stroke:transparent}"
)
"""a line under the pointer stands out; beside it lies a broad one that cannot be seen, so that it is easily met"""


def pair_page(found: PairExplanation) -> str:
    """One self-contained HTML file."""
    lead = f"model {found.model}; read out: {found.readout}; cosine {found.similarity:.3f}"
    sections = [_meetings(found), _each(found), _matters(found), _sums(found), step_by_step(found.given)]
    heading = f"Why alike: “{found.item.name}” and “{found.other.name}”"
    return page(heading, lead, [section for section in sections if section.body])


def _meetings(found: PairExplanation) -> Section:
    best, opposed = found.strongest(LINES), found.strongest(4, apart=True)
    texts = found.item.grid is None and found.other.grid is None
    drawn = [_between_texts(found, best)] if texts else _lettered(found, best)
    tables = ""
    if best:
        tables += _table(found, best, "together", numbered=not texts)
        tables += _under(f"share: of what all pairs add, {found.together:+.4f}, not of the cosine")
    if opposed:
        tables += _table(found, opposed, "apart")
        tables += _under(f"share: of what all pairs take away, {found.apart:.4f}")
    return Section(
        "What met what",
        found.conclusion,
        row(*drawn, tables),
        "A share says what the model's numbers do, not why a person would find the two alike.",
    )


def _under(words: str) -> str:
    return f'<span class="ends">{escape(words)}</span>'


def _table(found: PairExplanation, pairs: Sequence[Meeting], last: str, *, numbered: bool = False) -> str:
    """Pairs with their shares; `numbered` as the pictures number them."""
    head = ("part of the first", "part of the second", "share", last)
    rows = [
        (found.item.called(m.region), found.other.called(m.other), f"{100 * m.share:.1f} %", f"{m.value:+.4f}")
        for m in pairs
    ]
    if not numbered:
        return table(head, rows, numbers=(2, 3))
    counted = [(str(n) if n <= NUMBERED else "", *entry) for n, entry in enumerate(rows, start=1)]
    return table(("no.", *head), counted, numbers=(3, 4))


def _between_texts(found: PairExplanation, best: Sequence[Meeting]) -> str:
    """The parts of both texts in two columns, a line for each of the strongest pairs, its width the share."""
    columns = (found.item, found.other)
    tall = 30 + ROW * max(len(side.regions) for side in columns)
    left, right = WIDE * 0.36, WIDE * 0.64
    most = max((m.share for m in best), default=1.0)
    lines = []
    for m in reversed(best):
        ends = {"x1": left + 8, "x2": right - 8, "y1": 30 + ROW * (m.region + 0.5), "y2": 30 + ROW * (m.other + 0.5)}
        said = title(f"{found.item.called(m.region)} and {found.other.called(m.other)}: {m.value:+.4f}")
        wide = 1 + 7 * m.share / most
        drawn = element("line", stroke=SERIES[1], stroke_width=wide, stroke_linecap="round", **ends)
        hit = element("line", class_="hit", stroke_width=14, **ends)
        lines.append(element("g", [said, hit, drawn], class_="met"))
    words = [
        text(left, 14, "the first", text_anchor="end", class_="title"),
        text(right, 14, "the second", class_="title"),
    ]
    for side, x, anchor in ((found.item, left, "end"), (found.other, right, "start")):
        for i in range(len(side.regions)):
            words.append(text(x, 30 + ROW * (i + 0.5) + 5, side.called(i), within=WIDE * 0.35, text_anchor=anchor))
    label = f"lines between the {len(best)} pairs of parts that bring the two together most"
    return figure(WIDE, tall + 8, [element("style", HOVER), *lines, *words], label=label)


def _lettered(found: PairExplanation, best: Sequence[Meeting]) -> list[str]:
    """Pictures with the strongest pairs' regions numbered alike; texts with the numbers behind their words."""
    return [_numbered(side, which, best) for which, side in enumerate((found.item, found.other))]


def _numbered(side: PairInput, which: int, best: Sequence[Meeting]) -> str:
    numbers: dict[int, list[int]] = {}
    for n, m in enumerate(best[:NUMBERED], start=1):
        numbers.setdefault(m.other if which else m.region, []).append(n)
    if side.grid is None:
        below = {i: ", ".join(map(str, found)) for i, found in numbers.items()}
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
        label = ", ".join(map(str, found))
        parts.append(
            element("rect", x=place["x"] + 2, y=place["y"] + 2, width=10 + 7 * len(label), height=17, fill="#000")
        )
        parts.append(text(place["x"] + 6, place["y"] + 15, label, style="fill:#fff", font_size=12))
    heading = f"the {'second' if which else 'first'}: {side.name}"
    wide = columns * step
    drawn = [text(0, 14, heading, within=wide, class_="title"), element("g", parts, transform="translate(0 22)")]
    return figure(wide, rows * step + 24, drawn, label=f"{heading}; equal numbers met")


def _each(found: PairExplanation) -> Section:
    """What each part contributes with all parts of the other."""
    first = [sum(values) for values in found.pairs]
    second = [sum(values[j] for values in found.pairs) for j in range(len(found.other.regions))]
    pictures = [_marked(side, values) for side, values in ((found.item, first), (found.other, second))]
    return Section(
        "Each part with all of the other",
        "What a part contributes to the cosine together with everything in the other input. Blue makes it smaller.",
        row(*pictures) + "".join(as_given(side.original, side.image) for side in (found.item, found.other)),
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
    if not found.knockouts:
        return Section("", "")

    def picture(k: KnockOut) -> str:
        drawn = strip(k, amount, whole="nothing taken away", without="without them", others="without as many others")
        return f"<h3>without {escape(k.what)}</h3>{drawn}<figcaption>{escape(k.beside_null)}</figcaption>"

    def amount(value: float) -> str:
        return f"{value:.3f}"

    return Section(
        "Does it matter?",
        "Parts are taken out of the sequence and the cosine is computed again (the large dot), and so it is without as "
        "many others (grey). The line is the cosine of the whole inputs.",
        row(*(picture(k) for k in found.knockouts)),
    )


def _sums(found: PairExplanation) -> Section:
    most = max((abs(v) for values in found.pairs for v in values), default=1.0) or 1.0
    rows = [found.item.called(i) for i in range(len(found.item.regions))]
    columns = [found.other.called(j) for j in range(len(found.other.regions))]
    cells = [[(f"{v:.3f}", v / most) for v in values] for values in found.pairs]
    matrix = heat_table(rows, columns, cells, diverging=True)
    drawn = f" Orders were drawn: the standard error of a pair is at most {shown(found.error)}." if found.error else ""
    says = (
        "A part is what leaving it in does to the vector, averaged over every order in which parts can come in "
        f"(Shapley's value); a pair is the product of two.{drawn} {found.of_background}"
    ).rstrip()
    notes = " ".join(f"{note[:1].upper()}{note[1:]}." for note in found.notes)
    return Section("How it adds up", says, row(_ledger(found)) + folded("every pair", matrix), notes)


def _ledger(found: PairExplanation) -> str:
    """The cosine as a sum: each amount begins where the one before ends."""
    entries = [
        ("hangs on no pair", found.background),
        ("pairs bring together", found.together),
        ("pairs keep apart", found.apart),
    ]
    sums = [0.0]
    for _, value in entries:
        sums.append(sums[-1] + value)
    low, high = min(sums), max(sums)
    left, right, tall = 150, 70, 30

    def at(value: float) -> float:
        return left + (value - low) / ((high - low) or 1.0) * (WIDE - left - right)

    parts = [element("line", x1=at(0), x2=at(0), y1=6, y2=tall * 4 + 6, class_="axis")]
    bars = [(name, sums[n], sums[n + 1], value) for n, (name, value) in enumerate(entries)]
    bars.append(("cosine", 0.0, found.similarity, found.similarity))
    for n, (name, begin, end, value) in enumerate(bars):
        y, colour = 8 + n * tall, SERIES[2] if name == "cosine" else SERIES[1] if value > 0 else SERIES[0]
        x, wide = min(at(begin), at(end)), max(1.5, abs(at(end) - at(begin)))
        parts.append(element("rect", x=x, y=y, width=wide, height=18, fill=colour))
        parts.append(text(left - 8, y + 13, name, text_anchor="end"))
        parts.append(text(WIDE, y + 13, f"{value:+.4f}", text_anchor="end"))
        if n < len(entries):
            parts.append(element("line", x1=at(end), x2=at(end), y1=y + 18, y2=y + tall, class_="grid"))
    label = "; ".join(f"{name}: {value:+.4f}" for name, _, _, value in bars)
    return figure(WIDE, 8 + tall * len(bars), parts, label=label)
