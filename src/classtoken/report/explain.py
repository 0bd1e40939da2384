"""The page of `explain`: every picture with its definition, and beside it whether it matters."""

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from shlex import quote

from classtoken.report.charts import Series, lines
from classtoken.report.html import Section, folded, page, row, table
from classtoken.report.knockouts import matters, swapped
from classtoken.report.maps import SIDE, heat_map, map_grid
from classtoken.report.png import Panel
from classtoken.report.svg import shown
from classtoken.report.verdict import marked_patches, verdict
from classtoken.report.words import shaded_words
from classtoken.results.explain import SMALLEST, Explanation, RelevanceMap
from classtoken.values import Role

LARGE = 460
"""pixels a side of the best tested map"""
WORTH = 0.005
"""share of the rollout below which a detour is not worth naming"""


def explanation_page(found: Explanation) -> str:
    """One self-contained HTML file: the verdict, the best tested map, and everything else folded."""
    first = [verdict(found), _best(found)]
    rest = [_answer(found), _maps(found), _faithful(found)]
    if found.layers:
        rest += [_attention(found), _depth(found)]
    rest += [matters(found), swapped(found), _unseen(found), _indirect(found), _artefacts(found), _notes(found)]
    lead = f"model {found.model}; read out: {found.readout}; explained: {found.target_label}"
    if found.outcome == "probability":
        lead += f", {found.amount(found.before)}"
    sections = [*first, *(replace(section, folded=True) for section in rest), _step_by_step(found)]
    why = f"Why “{found.target_label}”" if found.outcome == "probability" else "Why this vector"
    return page(f"{why}: {found.item}", lead, [s for s in sections if s.body])


def _step_by_step(found: Explanation) -> Section:
    """The command that shows how this vector is made; nothing for a model without a class token to watch, and for an
    input that no command can be given."""
    if found.given is None or not any(token.role == Role.CLASS for token in found.tokens):
        return Section("", "", "")
    item, model = map(quote, found.given)
    command = f"classtoken walkthrough {item} --model {model} --out page.html"
    says = "The walkthrough shows how this input becomes one vector, layer by layer, with these numbers:"
    return Section("Step by step", says, f"<pre>{escape(command)}</pre>")


def panels(found: Explanation) -> list[Panel]:
    """The maps as panels of a picture file, controls left out."""
    return [Panel(m.title, m.scores, m.signed) for m in found.maps if m.scores and not m.control]


def _answer(found: Explanation) -> Section:
    body = ""
    if found.answers:
        t = found.temperature
        logit = "logit" if t == 1 else f"logit / {t:.3g}, the temperature"
        top = [(a.label, f"{100 * a.probability:.2f} %", shown(a.outcome / t)) for a in found.answers]
        body += table(("class", "probability", logit), top, numbers=(1, 2))
    if found.lens:
        body += row(_lens(found))
    picture = f'<img src="{found.image}" alt="the input as the model saw it" width="224">' if found.image else ""
    says = (
        f"Explained is {found.target_label}"
        + (f", which gets {100 * found.before:.1f} %." if found.outcome == "probability" else ".")
        + " The curve applies the model's own classifier to the class token's state after every layer."
    )
    mind = (
        "That an answer could be read off at a layer does not mean that the model uses it there." if found.lens else ""
    )
    return Section(
        "All answers", says, row(picture, body) if picture else body or f"<p>{shown(found.before)}</p>", mind
    )


def _lens(found: Explanation) -> str:
    xs = tuple(float(step.layer) for step in found.lens)
    series = [Series(found.target_label, xs, tuple(step.target for step in found.lens))]
    return lines(
        series,
        heading="If it had to answer after layer ...",
        x_label="layers done",
        y_label="probability",
        width=480,
        height=250,
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
    strongest = "The strongest are outlined and their numbers written out" if found.grid else "Numbers are written out"
    colours = " Blue speaks against the answer, orange for it." if best.signed else ""
    others = " The others are below." if len(drawn) > 1 else ""
    says = f"{best.says[:1].upper()}{best.says[1:]}: {tested}. {strongest}.{colours}{others}"
    mind = "" if found.believed else "That it says what the answer rests on is not shown: see the verdict."
    pictures = _map(found, best, side=LARGE, caption=False)
    return Section(f"Which parts of the input: {best.title}", says, pictures, mind, beside=True)


def _maps(found: Explanation) -> Section:
    drawn = _drawn(found)[1:]
    refused = [(m.title, m.refused) for m in found.maps if m.refused]
    pictures = [_map(found, m) for m in drawn]
    body = row(*pictures) if found.grid and pictures else "".join(pictures)
    if refused:
        body += folded("maps that were refused", table(("map", "why"), refused))
    return Section(
        f"The other {len(drawn)} maps, best tested first" if len(drawn) > 1 else "Other maps",
        "One picture per method, each on its own scale. Blue in a signed map speaks against the answer, orange for it.",
        body,
        "The maps differ, so at most one of them can be right about everything: the next section tests them.",
    )


def _map(found: Explanation, m: RelevanceMap, *, side: float = SIDE, caption: bool = True) -> str:
    if found.grid:
        picture = heat_map(m.scores, found.grid, heading=m.title, picture=found.image, diverging=m.signed, side=side)
        return f"{picture}<figcaption>{escape(m.says)}</figcaption>" if caption else picture
    words = [found.tokens[i].text for i in found.content]
    boxes = shaded_words(words, m.scores, diverging=m.signed)
    return f'<h3>{escape(m.title)}</h3><span class="ends">{escape(m.says)}</span>{boxes}' if caption else boxes


def _faithful(found: Explanation) -> Section:
    tested = [m for m in found.maps if m.deletion is not None and m.deletion_curve]
    if not tested or found.curves is None:
        return Section("", "")
    head = ("map", "deletion area (low is good)", "insertion area (high is good)", "SaCo (1 is best)")
    by_deletion = [m for m in found.by_test if m in tested]
    rows = [
        (
            m.title + (" (control)" if m.control else " (made by removal itself)" if m.by_removal else ""),
            *(shown(v) for v in (m.deletion or 0, m.insertion or 0, m.saco or 0)),
        )
        for m in by_deletion
    ]
    down = [
        Series(m.title, found.curves.fractions, m.deletion_curve, control=m.control)
        for m in (*[m for m in by_deletion if not m.control][:4], *[m for m in tested if m.control])
    ]
    unit = "probability" if found.outcome == "probability" else "length along the vector"
    curve = lines(
        down,
        heading="Deletion: the most relevant tokens taken away first",
        y_label=unit,
        x_label="share of tokens removed",
    )
    definition = found.curves
    says = (
        "Tokens are truly removed from the sequence, in the order of each map. A map that knows what matters makes the "
        "answer fall early. Grey: controls that know nothing of the model. Occlusion is made by taking tokens away, "
        "which is the test as well: its figures flatter it, and it stands behind the others."
    )
    return Section(
        "Is any of these maps right?",
        says,
        row(curve) + table(head, rows, numbers=(1, 2, 3)),
        f"Definition: {len(definition.fractions)} points from 0 % to {100 * definition.fractions[-1]:.3g} %, "
        f"{definition.absent}; ties {definition.ties} "
        f"(seed {definition.seed}); area: {definition.area}. One input proves little: see explain --data.",
    )


def _attention(found: Explanation) -> Section:
    content = found.content
    body = ""
    if found.grid and found.weights:
        layers = [[[head[i] for i in content] for head in layer] for layer in found.weights]
        small = [[layer[head] for layer in layers] for head in range(len(layers[0]))]
        heading = "The class token's attention: a row per head, a column per layer"
        body = row(map_grid(small, found.grid, heading=heading, row_name="head", column_name="layer"))
    elif found.weights:
        heads = len(found.weights[0])
        blocks = []
        for layer in (0, len(found.weights) // 2, len(found.weights) - 1):
            mean = [sum(head[i] for head in found.weights[layer]) / heads for i in range(len(found.tokens))]
            special = [token.role != Role.CONTENT for token in found.tokens]
            words = shaded_words([t.text for t in found.tokens], mean, special=special)
            blocks.append(f"<h3>layer {layer}, heads averaged</h3>{words}")
        body = "".join(blocks)
    masses = sorted({name for layer in found.layers for name in layer.masses})
    rows = [
        (
            str(layer.layer),
            shown(_mean(layer.relative)),
            shown(_mean(layer.effective)),
            shown(_mean(layer.itself)),
            *(shown(_mean(layer.masses.get(name, (0.0,)))) for name in masses),
            shown(layer.agreement),
        )
        for layer in found.layers
    ]
    head = (
        "layer",
        "entropy of max",
        "effective tokens",
        "on itself",
        *(f"on {m.lower()}" for m in masses),
        "heads agree",
    )
    body += table(head, rows, numbers=range(1, len(head)))
    return Section(
        "Where the class token looks",
        "Softmax weights of the class token's own query"
        + ("; patches drawn, other tokens in the table. Each small map has its own scale." if found.grid else "."),
        body,
        "A large weight on a token with a tiny value moves nothing: compare 'attention x value length' above.",
    )


def _depth(found: Explanation) -> Section:
    xs = tuple(float(layer.layer) for layer in found.layers)
    heads = len(found.layers[0].relative)
    series = [Series(f"head {h}", xs, tuple(layer.relative[h] for layer in found.layers)) for h in range(min(heads, 8))]
    figures = [
        lines(
            series,
            heading="Entropy of the class token's attention, by head",
            x_label="layer",
            y_label="entropy / ln(tokens)",
            width=480,
        )
    ]
    if found.layers[0].sizes:
        names = ("state before", "attention adds", "feed-forward adds")
        sized = [Series(n, xs, tuple(layer.sizes[i] for layer in found.layers)) for i, n in enumerate(names)]
        figures.append(
            lines(
                sized,
                heading="Lengths of the class token's state and updates",
                x_label="layer",
                y_label="Euclidean length",
                width=480,
            )
        )
    return Section(
        "Layer by layer",
        "1 is uniform over all tokens, 0 is a single one. Beside it, how large what attention and feed-forward add is "
        "compared with the state that they add to.",
        row(*figures),
    )


def _indirect(found: Explanation) -> Section:
    worth = [r for r in found.routes if r.share >= WORTH]
    rows = [(_name(found, r.source), _name(found, r.via), f"{100 * r.share:.2f} %") for r in worth]
    body = table(("from", "through", "share of the rollout"), rows, numbers=(2,)) if rows else ""
    if found.routes and not rows:
        most = max(r.share for r in found.routes)
        body = f"<p>No detour carries more than {100 * most:.2g} % of the rollout: there is none to point at.</p>"
    return Section(
        "What came by a detour",
        "The largest indirect routes: content of the first token that reached the class token through the second. All "
        "routes and the direct way together are exactly the rollout.",
        body,
        "Rollout follows attention weights and residuals only; it knows neither values nor feed-forward.",
    )


def _name(found: Explanation, i: int) -> str:
    token = found.tokens[i]
    return token.text if token.text else f"{token.role.name.lower()} (token {i})"


def _unseen(found: Explanation) -> Section:
    u = found.unseen
    if u is None:
        return Section("", "")

    def named(tokens: Sequence[int]) -> str:
        return ", ".join(_name(found, i) for i in tokens[:8]) or "none"

    rows = [("looked at least", u.least, f"{len(u.least)} tokens with {100 * u.mass_of_least:.1f} % of the weight")]
    both = (
        (
            "looked at most, needed least",
            u.attended_unused,
            "in the quarter with most weight, and in the half whose removal moves the outcome least",
        ),
        (
            "looked at least, needed most",
            u.unattended_used,
            "in the quarter with least weight, and in the quarter whose removal moves the outcome most",
        ),
    )
    for entry, tells, expected in zip(both, u.tells, u.expected, strict=True):
        if tells:
            rows.append((entry[0], entry[1], f"{entry[2]}: {len(entry[1])}, where chance gives {expected:.1f}"))
    drawn = ""
    if found.grid:
        drawn = row(
            *(marked_patches(found, some, heading=f"{name} ({len(some)})", side=252) for name, some, _ in rows if some)
        )
    silent = (
        f"No single token moves the outcome by more than {100 * u.largest:.2g} % of it: none is called needed or not."
        if u.largest < SMALLEST
        else "Tokens that were looked at for nothing, or used without being looked at, are named only where there are "
        "more of them than chance makes."
    )
    return Section(
        "What it did not look at",
        "By the class token's weights over all layers, against what the outcome loses when the token is removed.",
        drawn + table(("", "tokens", "meaning"), [(name, named(tokens), says) for name, tokens, says in rows]),
        silent,
    )


def _artefacts(found: Explanation) -> Section:
    a = found.artefacts
    if a is None:
        return Section("", "")
    rows = [
        (
            f"layer {layer}, head {head}",
            _name(found, key),
            f"{100 * got:.0f} %",
            shown(value),
            "empty: attention is parked here" if value < 0.5 else "broadcast: all are told the same",
        )
        for layer, head, key, got, value in a.sinks[:16]
    ]
    body = ""
    if rows:
        body += table(("where", "token", "weight from others", "value / median", "kind"), rows, numbers=(2, 3))
    high = [
        (str(i), f"{100 * s:.1f} %", f"{r:.1f} x")
        for i, (s, r) in enumerate(zip(a.outlier_share, a.outlier_ratio, strict=True))
        if s > 0
    ]
    if high:
        body += table(("after layer", "high-norm tokens", "norm / median"), high, numbers=(1, 2))
    found_none = "<p>No sink (30 % of all other tokens' weight) and no high-norm token was found.</p>"
    return Section(
        "Tokens that many look at for nothing",
        "Sinks take much of everybody's attention; high-norm tokens are told from the rest by the model's own norms.",
        body or found_none,
    )


def _notes(found: Explanation) -> Section:
    items = "".join(f"<li>{_escaped(note)}</li>" for note in found.notes)
    return Section("Before you believe this page", "What holds for this model and this input.", f"<ul>{items}</ul>")


def _escaped(words: str) -> str:
    return escape(words)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
