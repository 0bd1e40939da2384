"""A comparison as one page: what to use, how sure that is, the ranking, and a picture per question."""

import math
from html import escape

from classtoken.files import last_part
from classtoken.report.charts import Dot, Series, Spot, dots, lines, spots
from classtoken.report.heat_table import heat_table
from classtoken.report.html import Section, folded, page, row, table
from classtoken.report.maps import heat_map
from classtoken.report.svg import shown
from classtoken.results.base import counted
from classtoken.results.compare import BEST_LAYER, CompareResult, Gap, MetricScore, Neighbour, SplitOverlap
from classtoken.results.compare_words import METRICS, SHARES, left_out_in_words, smallest_in_words

FEWEST_SHOWN = 6
"""differences that stand open; the others are folded"""
MOST_LISTED = 2000
"""items that do not count, named in the page; all are in the .json"""
WIDTH = 480
"""of a chart: narrow enough to be read on a telephone"""


def comparison_page(found: CompareResult) -> str:
    """The whole page."""
    makers = (_ranking, _differences, _layers, _costs, _lost, _classes, _neighbours, _audit, _split, _position)
    sections = [section for section in (make(found) for make in makers) if section is not None]
    sections += [_protocol(found), _again(found)]
    return page(found.advice, found.sure, sections)


def _stroke(found: CompareResult, name: str) -> int:
    """Which colour and dash a candidate has in every chart: the same at its best layer as at the last."""
    own = dict.fromkeys(one.name.removesuffix(BEST_LAYER) for one in found.candidates if one.role == "candidate")
    for curve in found.by_layer:
        own.setdefault(_curve_name(found, curve.model, curve.pooling), None)
    names = list(own)
    base = name.removesuffix(BEST_LAYER)
    return names.index(base) if base in own else len(names)


def _curve_name(found: CompareResult, model: str, pooling: str) -> str:
    """What the candidate of that curve is called: with its model where there are several."""
    several = f"{model}: {pooling}"
    return several if any(one.name.startswith(f"{model}: ") for one in found.candidates) else pooling


def _percent(found: CompareResult) -> int:
    """What the ranking metric is multiplied by to be read: a share of items is told in %."""
    return 100 if found.metric in SHARES else 1


def _band(score: MetricScore) -> tuple[float, float]:
    """The interval; the value itself where there is none."""
    known = math.isfinite(score.low) and math.isfinite(score.high)
    return (score.low, score.high) if known else (score.value, score.value)


def _ranking(found: CompareResult) -> Section:
    rows = []
    for said, some in found.grouped:
        for one in some:
            score, control = one.metrics[found.metric], one.role != "candidate"
            above = said if one is some[0] else ""
            stroke = 0 if control else _stroke(found, one.name)
            value, low, high = (_percent(found) * number for number in (score.value, *_band(score)))
            rows.append(Dot(one.called, value, low, high, control=control, stroke=stroke, above=above))
    named = METRICS.get(found.metric, found.metric) + (", %" if _percent(found) > 1 else "")
    drawn = dots(rows, heading=f"{named}, with intervals of 95 %", x_label=named, width=WIDTH)
    head, *body = found.table()
    more = folded("every metric", table(head, body, numbers=range(2, len(head))))
    mind = (
        "Controls are there to be beaten, and probes show what else the model knows: neither is a vector to use. "
        if any(o.role != "candidate" for o in found.candidates)
        else ""
    )
    units = "" if found.units == found.items else f" in {found.units} clusters"
    smallest = ""
    if len(found.candidates) > 1:
        smallest = f"; {smallest_in_words(found.detectable, found.detectable_before, found.metric)}"
    return Section(
        "Which is best",
        f"Judged on {found.items} items{units} of {last_part(found.source)}. Candidates under one "
        "heading cannot be told apart with these. In brackets: where the true figure lies, in 95 of 100 such tests"
        f"{smallest}.",
        row(drawn) + more,
        f"{mind}{_folds(found)}Overlapping intervals do not mean a tie, and intervals apart need not be one difference "
        "among many: who stands together is decided by tests of every pair on the same items.",
    )


def _folds(found: CompareResult) -> str:
    if "folds:" not in found.protocol.settings.get("split", ""):
        return ""
    return (
        "Items were judged in folds, whose classifiers share most of what they learned from: intervals are wider than "
        "those of as many items that one classifier has judged. "
    )


def _differences(found: CompareResult) -> Section | None:
    if not found.differences:
        return None
    times = _percent(found)
    unit = "points" if times > 1 else found.metric
    head = ("first", "second", f"difference, {unit}", "95 %", "p, corrected", "effect", "better on", "worse on")
    rows = [
        (
            d.first,
            d.second,
            shown(times * d.value),
            f"[{shown(times * d.low)}, {shown(times * d.high)}]",
            shown(d.adjusted),
            shown(d.effect),
            str(d.wins),
            str(d.losses),
        )
        for d in found.differences
    ]
    numbers = (2, 4, 5, 6, 7)
    says = (
        "Every pair on the same items: the difference, and how often chance alone gives as much (a paired permutation "
        "test, corrected for all pairs after Holm; below 0.05 a difference is called clear). The effect is the mean "
        "over the spread of the items' differences."
    )
    of_advised = [r for r in rows if (found.advised or found.candidates[0].name) in r[:2]]
    body = table(head, of_advised[:FEWEST_SHOWN], numbers=numbers)
    if len(rows) > len(of_advised[:FEWEST_SHOWN]):
        body += folded(f"all {len(rows)} pairs", table(head, rows, numbers=numbers))
    return Section("How sure", says, body)


def _layers(found: CompareResult) -> Section | None:
    if not found.by_layer:
        return None
    figures = []
    for model in dict.fromkeys(curve.model for curve in found.by_layer):
        series = []
        for curve in found.by_layer:
            if curve.model == model:
                bands = [_band(score) for score in curve.scores]
                values = tuple(score.value for score in curve.scores)
                low, high = tuple(b[0] for b in bands), tuple(b[1] for b in bands)
                stroke = _stroke(found, _curve_name(found, model, curve.pooling))
                layers = tuple(map(float, curve.layers))
                series.append(Series(curve.pooling, layers, values, low, high, stroke=stroke))
        figures.append(lines(series, heading=model, x_label="blocks done", y_label=found.metric, width=WIDTH))
    return Section(
        "By layer",
        "Each pooling after every block, without the final norm (0: the embeddings).",
        row(*figures),
        "The highest point of a curve is chosen with the items that judge it: it flatters. Candidates called 'at its "
        "best layer' were chosen on other items.",
    )


def _costs(found: CompareResult) -> Section:
    points, rows = [], []
    for one in found.candidates:
        score, control, cost = one.metrics[found.metric], one.role != "candidate", one.cost
        stroke = 0 if control else _stroke(found, one.name)
        points.append(Spot(one.name, cost.size, score.value, *_band(score), control=control, stroke=stroke))
        rows.append(
            (
                one.name,
                str(cost.bytes),
                _millions(cost.parameters),
                str(cost.own_parameters),
                "-" if cost.milliseconds is None else shown(cost.milliseconds),
                "-" if cost.flops is None else f"{cost.flops / 1e9:.2f}",
            )
        )
    head = (
        "candidate",
        "bytes a vector",
        "encoder, million",
        "learned besides",
        "ms an item, all of them",
        "GFLOP an item",
    )
    figures, sizes = table(head, rows, numbers=range(1, 6)), {point.x for point in points}
    says = (
        "Stored vectors cost memory and search time by their size; computing costs the same for all that come out of "
        "one pass."
    )
    if len(sizes) == 1:
        return Section("What it costs", f"{says} All of these have {sizes.pop():g} numbers.", figures)
    heading = f"{found.metric} against size"
    drawn = spots(points, heading=heading, x_label="numbers of a vector", y_label=found.metric, width=WIDTH)
    return Section("What it costs", says, row(drawn) + folded("figures", figures))


def _millions(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e6:.1f}"


def _lost(found: CompareResult) -> Section | None:
    shaped = [one for one in found.candidates if one.shape is not None]
    if not shaped:
        return None
    rows = []
    for one in shaped:
        shape = one.shape
        assert shape is not None
        alike = "-" if shape.alignment is None else shown(shape.alignment)
        cells = (shape.effective_rank, shape.anisotropy, shape.uniformity)
        rows.append(
            (one.name, str(one.cost.size), *map(shown, cells), alike, shown(shape.norm), str(shape.norm_outliers))
        )
    head = ("candidate", "size", "effective rank", "anisotropy", "uniformity", "alignment", "length", "odd lengths")
    body = table(head, rows, numbers=range(1, 8))
    names = list(found.alike)
    if len(names) > 1:
        values = [[found.alike[a][b] for b in names] for a in names]
        least = min(min(some) for some in values)
        shades = [[(f"{v:.2f}", (v - least) / ((1 - least) or 1)) for v in some] for some in values]
        body += f"<h3>How alike two candidates are (linear CKA)</h3>{heat_table(names, names, shades)}"
    body += _token_lengths(found)
    return Section(
        "What one vector loses",
        "Effective rank: how many dimensions are filled. Anisotropy: the mean cosine of different items, 1 when all "
        "point one way. Uniformity and alignment (Wang, Isola): lower is better. CKA of 1: the same up to a rotation.",
        folded("figures", body),
    )


def _classes(found: CompareResult) -> Section | None:
    body, says = "", "What is mistaken for what."
    if found.confusion is not None:
        c = found.confusion
        shades = [[(str(n), n / sum(some)) if n else None for n in some] for some in c.counts]
        given = zip(c.labels, c.counts, strict=True)
        every = [(n, a, b) for a, some in given for b, n in zip(c.labels, some, strict=True)]
        pairs = [(n, a, b) for n, a, b in every if a != b and n > 1]
        most = sorted(pairs, key=lambda pair: -pair[0])[:3]
        often = "; ".join(f"{a} for {b} ({n} times)" for n, a, b in most)
        says = f"Taken most often for another: {often}." if often else "None was taken for the same other one twice."
        body += (
            f"<p>Rows are the classes of the items, columns what {escape(c.candidate)} gave them; empty: never.</p>"
            + heat_table(c.labels, c.labels, shades)
        )
    told = [one for one in found.candidates if one.per_class][:6]
    if told:
        names = list(told[0].per_class)
        rows = [(name, *(shown(one.per_class[name]) for one in told)) for name in names]
        body += folded("every class or label", table(("class", *(one.name for one in told)), rows, numbers=range(1, 7)))
    return Section("Which classes", says, body) if body else None


def _neighbours(found: CompareResult) -> Section | None:
    if not found.neighbours:
        return None
    body = ""
    for entry in found.neighbours:
        near = [("the item", _shown_item(entry.item, ""))]
        for name, found_by in entry.neighbours.items():
            near.append((name, "".join(_shown_item(one, "right" if one.right else "wrong") for one in found_by)))
        columns = "".join(
            f'<div><p class="lead">{escape(name)}</p><div class="near">{drawn}</div></div>' for name, drawn in near
        )
        body += f'<div class="entry"><h3>{escape(entry.item.label)}</h3><div class="beside">{columns}</div></div>'
    return Section(
        "Nearest neighbours",
        "Items on which candidates differ most, and on which all do badly, with what each finds nearest. Right (blue): "
        "of the same class. Wrong (orange, dashed): of another.",
        folded(f"{counted(len(found.neighbours), 'item')} with their neighbours", body),
    )


def _shown_item(one: Neighbour, mark: str) -> str:
    inside = f'<img src="{one.picture}" alt="{escape(one.id, quote=True)}">' if one.picture else ""
    text = f"<span>{escape(one.text)}</span>" if one.text else ""
    wide = " said" if one.text else ""
    said = f"<b>{mark}</b><small>{escape(one.label)}</small>" if mark else ""
    return f'<div class="{mark or "item"}{wide}">{inside}{text}{said}</div>'


def _audit(found: CompareResult) -> Section | None:
    if not found.audited:
        return None
    values = list(found.candidates[0].parts)
    rows = [(one.name, *(str(one.parts[value]) for value in values)) for one in found.candidates]
    gaps = [(g.candidate, shown(g.value), _range_of(g), g.best, g.worst, shown(g.p)) for g in found.gaps]
    head = ("candidate", "gap", "95 %", "best", "worst", "p")
    body = table(head, gaps, numbers=(1, 5)) + table(("candidate", *values), rows, numbers=range(1, len(values) + 1))
    body += _overlooked(found)
    return Section(
        f"By {found.audited}",
        "The gap between the part that is served best and the one that is served worst, and how often chance alone "
        "gives as large a gap (p): items handed to the parts at random; where items come in clusters, clusters whose "
        "departures from the mean may as well have the other sign.",
        body,
        "A gap may lie in the data (harder items, rarer classes) as well as in the vector: compare candidates, not "
        "only parts.",
    )


def _range_of(gap: Gap) -> str:
    """`[0.01, 0.12]`; a dash where a part has too few items for an interval."""
    return f"[{shown(gap.low)}, {shown(gap.high)}]" if math.isfinite(gap.low) and math.isfinite(gap.high) else "–"


def _overlooked(found: CompareResult) -> str:
    """Where the class token looks, a picture a part."""
    if not found.overlooked:
        return ""
    drawn = [
        heat_map(
            one.share,
            one.grid,
            heading=f"{one.value}, {one.pictures} pictures ({one.model})",
            unit="share of attention",
            outline=one.never,
            side=210,
        )
        for one in found.overlooked
    ]
    says = (
        "The share of the class token's attention on each place of the picture: the mean over layers, heads and "
        "pictures. Outlined: where it practically never looks. Attention says where it reads, not what it uses."
    )
    return f"<h3>Where the class token looks</h3><p>{says}</p>{row(*drawn)}"


def _split(found: CompareResult) -> Section | None:
    o = found.overlap
    if o is None or not (o.equal or o.near):
        return None
    left = "no item is left" if o.score_without is None else shown(o.score_without)
    says = (
        f"{_alike(o)}. The {found.metric} of {o.candidate or 'the best candidate'} is {shown(o.score)}, and {left} "
        "without those items."
    )
    return Section(
        "Items on both sides of the split", says, table(("judged", "learned from"), o.examples) if o.examples else ""
    )


def _alike(o: SplitOverlap) -> str:
    return (
        f"{o.equal} of {o.checked} judged items are equal to one that was learned from, {o.near} more nearly so "
        f"(cosine above {o.above:g} of centred vectors)"
    )


def _position(found: CompareResult) -> Section | None:
    if not found.position:
        return None
    series = [
        Series(p.candidate, p.places, p.cosine, p.low, p.high, stroke=_stroke(found, p.candidate))
        for p in found.position
    ]
    heading = "A sentence moved through a long text"
    drawn = lines(series, heading=heading, x_label="place, in % of the text", y_label="cosine", width=WIDTH)
    rows = [(p.candidate, shown(p.first), f"[{shown(p.first_low)}, {shown(p.first_high)}]") for p in found.position]
    return Section(
        "Where a sentence stands",
        f"{found.position[0].sentences} sentences of these texts, each moved through a text of "
        f"{len(found.position[0].places)} sentences: the cosine of the text's vector and the sentence's own. A flat "
        "line treats all places alike.",
        row(drawn) + table(("candidate", "first place ahead of the others by", "95 %"), rows, numbers=(1,)),
        "Heights of different candidates do not compare (their cosines have other spreads); slopes do.",
    )


def _token_lengths(found: CompareResult) -> str:
    """How many tokens are far longer than others of their role."""
    if not found.lengths:
        return ""
    rows = [
        (
            t.model,
            t.role,
            str(t.tokens),
            shown(t.median),
            shown(t.largest),
            f"{t.odd} ({100 * t.odd / t.tokens:.2g} %)",
        )
        for t in found.lengths
    ]
    head = ("model", "tokens", "how many", "median length", "largest", "far above the median")
    says = (
        "Tokens that are far longer than others of their kind outweigh them in a mean; large image encoders use some "
        "patches as scratch room."
    )
    return f"<h3>Lengths of tokens</h3><p>{says}</p>" + table(head, rows, numbers=range(2, 6))


def _protocol(found: CompareResult) -> Section:
    rows = [*found.protocol.settings.items(), ("hash of the data", found.protocol.data)]
    rows += [(f"fingerprint of {name}", value) for name, value in found.fingerprints.items()]
    rows += [] if found.overlap is None else [("items on both sides of the split", _alike(found.overlap))]
    rows += [(f"left out: {name}", why) for name, why in found.left_out.items()]
    body = table(("what", "how"), rows)
    chosen = [(one.name, one.setting) for one in found.candidates if one.setting]
    if chosen:
        body += folded("what was chosen for each candidate", table(("candidate", "chosen"), chosen))
    out = [f"<li>{escape(line)}</li>" for line in (*found.notes, *left_out_in_words(found.refused))]
    if found.refused:
        every = table(("item", "why"), [(entry.id, entry.reason) for entry in found.refused[:MOST_LISTED]])
        body += folded(f"every one of {counted(len(found.refused), 'item')} that does not count", every)
    says = f"{counted(len(found.refused), 'item')} left out." if found.refused else "No item was left out."
    return Section("What was done", says, f"<ul>{''.join(out)}</ul>{body}" if out else body)


def _again(found: CompareResult) -> Section:
    made = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    body = f'<pre tabindex="0"><code>{escape(found.command)}</code></pre><p>{escape(made)}</p>'
    return Section("To run it again", f"It took {found.seconds:.0f} s.", body)
