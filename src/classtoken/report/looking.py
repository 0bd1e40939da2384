"""Sections of `explain` on where the class token looked: by layer and head, what it passed over, by which ways."""

from collections.abc import Sequence

from classtoken.report.charts import Series, lines
from classtoken.report.html import Section, row, table
from classtoken.report.maps import map_grid
from classtoken.report.verdict import marked_patches
from classtoken.report.words import shaded_words
from classtoken.results.base import counted
from classtoken.results.explain import SMALLEST, Explanation
from classtoken.values import Role

WORTH = 0.005
"""share of the rollout below which a detour is not worth naming"""
WIDE = 400


def attention(found: Explanation) -> Section:
    """The class token's own rows: pictures of every head, or words, and a table of each layer."""
    content = found.content
    pictures = ""
    if found.grid and found.weights:
        layers = [[[head[i] for i in content] for head in layer] for layer in found.weights]
        small = [[layer[head] for layer in layers] for head in range(len(layers[0]))]
        pictures = map_grid(
            small, found.grid, heading="Attention by head and layer", row_name="head", column_name="layer"
        )
    elif found.weights:
        blocks = []
        special = [token.role != Role.CONTENT for token in found.tokens]
        words = [token.text for token in found.tokens]
        for layer in dict.fromkeys((0, len(found.weights) // 2, len(found.weights) - 1)):
            boxes = shaded_words(words, _over_heads(found, layer), special=special)
            blocks.append(f"<div><h3>layer {layer}, heads averaged</h3>{boxes}</div>")
        pictures = f'<div class="maps">{"".join(blocks)}</div>'
    drawn = "; patches drawn, other tokens in the table. Each small map has its own scale." if found.grid else "."
    body = row(pictures, _layers(found)) if found.grid else pictures + _layers(found)
    return Section(
        "Where the class token looks",
        f"Softmax weights of the class token's own query{drawn}",
        body,
        "A large weight on a token with a tiny value moves nothing: compare 'attention x value length' above.",
        result=_most_looked_at(found),
    )


def _over_heads(found: Explanation, layer: int) -> list[float]:
    heads = found.weights[layer]
    return [sum(head[i] for head in heads) / len(heads) for i in range(len(found.tokens))]


def _most_looked_at(found: Explanation) -> str:
    """The piece of the input with most weight, over all layers and heads."""
    if not found.weights:
        return ""
    layers = [_over_heads(found, layer) for layer in range(len(found.weights))]
    mean = [sum(values) / len(layers) for values in zip(*layers, strict=True)]
    best = max(found.content, key=mean.__getitem__)
    return f"most at {found.token_name(best)}: {100 * mean[best]:.1f} % of the weight, over all layers and heads"


def _layers(found: Explanation) -> str:
    one = sum(token.role == Role.CLASS for token in found.tokens) == 1
    masses = sorted({name for layer in found.layers for name in layer.masses} - ({"CLASS"} if one else set()))
    rows = [
        (
            str(layer.layer),
            f"{_mean(layer.relative):.2f}",
            f"{_mean(layer.effective):.1f}",
            _percent(_mean(layer.itself)),
            *(_percent(_mean(layer.masses.get(name, (0.0,)))) for name in masses),
            f"{layer.agreement:.2f}",
        )
        for layer in found.layers
    ]
    names = {"CONTENT": "patches" if found.grid else "word pieces"}
    on = (f"on {names.get(name, name.lower())}" for name in masses)
    head = ("layer", "entropy of max", "effective tokens", "on itself", *on, "heads agree")
    return table(head, rows, numbers=range(1, len(head)))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def depth(found: Explanation) -> Section:
    """How it spreads, and how long what is added is, layer by layer."""
    xs = tuple(float(layer.layer) for layer in found.layers)
    heads = len(found.layers[0].relative)
    series = [Series(f"head {h}", xs, tuple(layer.relative[h] for layer in found.layers)) for h in range(min(heads, 8))]
    heading = "Spread of its attention, by head" + (" (the first 8)" if heads > 8 else "")
    figures = [lines(series, heading=heading, x_label="layer", y_label="entropy / ln(tokens)", width=WIDE)]
    if found.layers[0].sizes:
        names = ("state before", "attention adds", "feed-forward adds")
        sized = [Series(n, xs, tuple(layer.sizes[i] for layer in found.layers)) for i, n in enumerate(names)]
        heading = "Lengths of its state and of what is added"
        figures.append(lines(sized, heading=heading, x_label="layer", y_label="Euclidean length", width=WIDE))
    first, last = (
        f"{_mean(layer.effective):.1f} tokens in layer {layer.layer}" for layer in (found.layers[0], found.layers[-1])
    )
    return Section(
        "Layer by layer",
        "1 is uniform over all tokens, 0 is a single one. Beside it, how large what attention and feed-forward add is "
        "compared with the state that they add to.",
        row(*figures),
        result=f"it spreads over {first}" + (f", over {last}" if len(found.layers) > 1 else ""),
    )


def unseen(found: Explanation) -> Section:
    """What got little weight, and whether that tells anything."""
    u = found.unseen
    if u is None:
        return Section("", "")

    def named(tokens: Sequence[int]) -> str:
        few = 4 if found.grid else 8  # patches are seen in the picture
        return ", ".join(found.token_name(i) for i in tokens[:few]) + (" ..." if len(tokens) > few else "") or "none"

    pieces = "patches" if found.grid else "word pieces"
    least = f"{len(u.least)} of {len(found.content)} {pieces} get {100 * u.mass_of_least:.1f} % of the weight"
    rows = [("looked at least", u.least, least)]
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
    drawn = []
    if found.grid:
        drawn = [
            marked_patches(found, some, heading=f"{name} ({len(some)})", side=240) for name, some, _ in rows if some
        ]
    silent = (
        f"No single token moves the outcome by more than {100 * u.largest:.2g} % of it: none is called needed or not."
        if u.largest < SMALLEST
        else "Tokens that were looked at for nothing, or used without being looked at, are named only where there are "
        "more of them than chance makes."
    )
    tokens = table(("", "tokens", "meaning"), [(name, named(tokens), says) for name, tokens, says in rows])
    return Section(
        "What it did not look at",
        "By the class token's weights over all layers, against what the outcome loses when the token is removed.",
        row(*drawn, tokens),
        silent,
        result=least,
    )


def detours(found: Explanation) -> Section:
    """What reached the class token through another token."""
    worth = [r for r in found.routes if r.share >= WORTH]
    rows = [(found.token_name(r.source), found.token_name(r.via), f"{100 * r.share:.2f} %") for r in worth]
    body, result = "", ""
    if rows:
        body = table(("from", "through", "share of the rollout"), rows, numbers=(2,))
        result = f"most: {rows[0][0]} through {rows[0][1]}, {rows[0][2]} of the rollout"
    elif found.routes:
        result = f"none carries more than {100 * max(r.share for r in found.routes):.2g} % of the rollout"
        body = "<p>There is none to point at.</p>"
    return Section(
        "What reached it through another token",
        "The largest indirect ways: content of the first token that reached the class token through the second. All "
        "of them and the direct way together are exactly the rollout.",
        body,
        "Rollout follows attention weights and residuals only; it knows neither values nor feed-forward.",
        result=result,
    )


def sinks(found: Explanation) -> Section:
    """Tokens that draw attention and give little, and those whose states are far longer than others."""
    a = found.artefacts
    if a is None:
        return Section("", "")
    rows = [
        (
            f"layer {layer}, head {head}",
            found.token_name(key),
            f"{100 * got:.0f} %",
            f"{value:.2f}",
            "empty: attention is parked here" if value < 0.5 else "broadcast: all are told the same",
        )
        for layer, head, key, got, value in a.sinks[:16]
    ]
    body = ""
    if rows:
        head = ("where", "token", "weight from others", "length of its value / median", "kind")
        body += table(head, rows, numbers=(2, 3))
    high = [
        (str(i), f"{100 * s:.1f} %", f"{r:.1f} x")
        for i, (s, r) in enumerate(zip(a.outlier_share, a.outlier_ratio, strict=True))
        if s > 0
    ]
    if high:
        body += table(("after layer", "tokens with long states", "length / median"), high, numbers=(1, 2))
    none = "<p>No sink (30 % of all other tokens' weight) and no token with a long state was found.</p>"
    tokens = list(dict.fromkeys(key for _, _, key, _, _ in a.sinks))
    said = (
        [f"{found.token_name(tokens[0])}" + (f" and {counted(len(tokens) - 1, 'other')}" if tokens[1:] else "")]
        if tokens
        else []
    )
    said += [f"long states after {counted(len(high), 'layer')}"] if high else []
    return Section(
        "Sinks: tokens that are looked at for nothing",
        "A sink takes much of everybody's attention; a long state is told from the rest by the model's own lengths.",
        body or none,
        result="; ".join(said) or "none found",
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
