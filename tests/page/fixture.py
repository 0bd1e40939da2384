"""A whole walkthrough document made from the numpy reference: what the page's tests draw before any real model."""

import base64
import io
import math
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image
from tests.page import reference as ref

from classtoken.page.card import (
    ClassifierRows,
    LinearWeights,
    ModelCard,
    NormWeights,
    PositionCard,
    ReadoutCard,
    SharedWeights,
    ToyBlock,
    ToyNorm,
    ToyWeights,
)
from classtoken.page.document import FamilyRow, Walkthrough
from classtoken.page.evidence import (
    CalibrationChart,
    ConfidenceBin,
    ControlBand,
    ControlStatistic,
    LayerBand,
    MeasuredClaim,
    Statistic,
)
from classtoken.page.example import (
    AnswerLabel,
    Answers,
    CausalMaskEffect,
    ClassTokenLayers,
    ContrastInput,
    CutEffect,
    Example,
    LensAnswers,
    PoolingAnswers,
    RemovalEffects,
    SecondClassToken,
    ShownInput,
    ShownToken,
    SwapEffects,
    TokenEmbeddings,
    Truth,
)

CLASSES = ("cat", "dog", "bird", "fish", "horse")


def picture(size: ref.Size, seed: int, kind: str) -> np.ndarray:
    """Pixels (channels, side, side) in [-1, 1]: a bright disc, or a bar, on a shaded ground."""
    side = size.grid * size.patch
    y, x = np.mgrid[0:side, 0:side] / (side - 1)
    rng = np.random.default_rng(seed)
    shape = (x - 0.35) ** 2 + (y - 0.4) ** 2 < 0.06 if kind == "disc" else (abs(x - 0.6) < 0.12) & (y > 0.2)
    ground = 0.4 * x - 0.3 * y
    pixels = np.stack([np.where(shape, 0.9 - 0.3 * c, ground - 0.2 * c) for c in range(size.channels)])
    return (pixels + rng.normal(0, 0.05, pixels.shape)).clip(-1, 1).astype(np.float32).astype(np.float64)


def data_uri(pixels: np.ndarray) -> str:
    array = ((pixels.transpose(1, 2, 0) + 1) * 127.5).round().astype(np.uint8)
    image = Image.fromarray(array.squeeze())
    if image.width < 96:
        image = image.resize((96, 96), Image.Resampling.NEAREST)
    out = io.BytesIO()
    image.save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def tokens(size: ref.Size) -> tuple[ShownToken, ...]:
    cells = [(r, c) for r in range(size.grid) for c in range(size.grid)]
    return (
        ShownToken("class", "class token", ""),
        *(
            ShownToken("content", f"patch {i} (row {cell[0]}, column {cell[1]})", str(i), cell=cell)
            for i, cell in enumerate(cells)
        ),
    )


def layers(size: ref.Size, run: ref.Trace, full: bool) -> ClassTokenLayers:
    def of(name: str) -> np.ndarray:
        return np.stack([layer[name] for layer in run.layers])

    return ClassTokenLayers(
        scores=of("scores")[:, :, 0],
        weights=of("weights")[:, :, 0],
        back=of("weights")[:, :, :, 0],
        heads=of("heads")[:, :, 0],
        attention=of("attention")[:, 0],
        middle=of("middle")[:, 0],
        feedforward=of("feedforward")[:, 0],
        states=run.states[:, 0],
        queries=of("queries")[:, :, 0],
        keys=of("keys") if full else None,
        values=of("values") if full else None,
        context=of("context")[:, :, 0],
        used=of("used")[:, :, 0],
        norms=np.linalg.norm(run.states, axis=-1).astype(np.float16),
    )


def knockouts(size: ref.Size, w: ref.Weights, pixels: np.ndarray, run: ref.Trace, order: list[int]) -> list[CutEffect]:
    """Cut the class token off from its three most attended patches, layer by layer, against random threes."""
    rng = np.random.default_rng(0)
    out = []

    def after(layer: int, cut: np.ndarray) -> float:
        def mask(scores: np.ndarray) -> np.ndarray:
            scores = scores.copy()
            scores[:, 0, cut] = -np.inf
            return scores

        return float(ref.forward(size, w, pixels, cut={layer: mask}).values[order[0]])

    for layer in range(size.depth):
        weights = run.layers[layer]["weights"][:, 0].mean(0)[1:]
        top = 1 + np.argsort(-weights)[:3]
        null = tuple(after(layer, 1 + rng.choice(size.tokens - 1, 3, replace=False)) for _ in range(9))
        before, possible = float(run.values[order[0]]), math.comb(size.tokens - 1, 3) - 1
        cut = (tuple(map(int, top)), "renormalise", 0, before, after(layer, top), null, possible)
        out.append(CutEffect(layer, None, *cut, 0.6, size.depth, 1.0, "no more than chance"))
    return out


def example(size: ref.Size, w: ref.Weights, kind: str, other: str, *, toy: bool, full: bool, light: bool) -> Example:
    """One input. `light` leaves out what takes many forwards: removals keep the clean answer."""
    pixels, donor_pixels = picture(size, 1, kind), picture(size, 2, other)
    run, donor = ref.forward(size, w, pixels), ref.forward(size, w, donor_pixels)
    order = [int(i) for i in np.argsort(-run.values)]
    labels = tuple(AnswerLabel(i, CLASSES[i % 5]) for i in order)

    def shown(values: np.ndarray) -> np.ndarray:
        return values[order]

    def values_of(**what: Any) -> np.ndarray:
        return shown(ref.forward(size, w, pixels, **what).values)

    lens = np.stack(
        [shown(ref.softmax(ref.apply(ref.norm(s, w["final_norm"], size.eps), w["head"]))) for s in run.states[:, 0]]
    )
    removable = list(range(1, size.tokens))
    causal, causal_donor = (ref.forward(size, w, p, causal=True) for p in (pixels, donor_pixels))
    two = ref.forward(size, w, pixels, second=True)
    cosines = [float(s[0] @ s[1] / (np.linalg.norm(s[0]) * np.linalg.norm(s[1]))) for s in two.states]
    mask = ((np.array([t.cell for t in tokens(size)[1:]]) - size.grid * 0.4) ** 2).sum(1) < (size.grid * 0.25) ** 2
    return Example(
        id=kind,
        title=f"a {kind}",
        origin="example",
        input=ShownInput(
            "image",
            data_uri(pixels),
            size.grid * size.patch,
            size.grid * size.patch,
            (size.grid, size.grid),
            None,
            pixels if toy else None,
        ),
        tokens=tokens(size),
        watched=0,
        truth=Truth(CLASSES[order[0]], mask.astype(np.float32)),
        embeddings=TokenEmbeddings(run.before, run.position),
        layers=layers(size, run, full),
        final=run.final[0],
        vector=run.final[0],
        answers=Answers(labels, shown(run.logits), shown(run.values), run.logits),
        contrast=ContrastInput(
            f"a {other}",
            data_uri(donor_pixels),
            None,
            tokens(size),
            donor.before.astype(np.float16),
            donor.before[0],
            donor.states[:, 0],
        ),
        lens=LensAnswers(lens, "the final norm and the classifier, put on the class token of each layer"),
        knockouts=() if light else tuple(knockouts(size, w, pixels, run, order)),
        removals=RemovalEffects(
            tuple(removable),
            np.stack([shown(run.values) if light else values_of(removed=frozenset([t])) for t in removable]),
        ),
        swaps=(
            SwapEffects(
                f"a {other}",
                shown(donor.values),
                np.stack([values_of(swap=(layer, donor.states[layer, 0])) for layer in range(size.depth + 1)]),
            ),
        ),
        causal=CausalMaskEffect(
            shown(causal.values),
            float(np.linalg.norm(causal.final[0] - causal_donor.final[0])),
            float(np.linalg.norm(run.final[0] - donor.final[0])),
            "each token sees only those before it",
        ),
        poolings=tuple(
            PoolingAnswers(p, values_of(pooling=p), "the classifier was made for the class token")
            for p in ("cls", "mean", "max")
        ),
        two=SecondClassToken(
            shown(two.values), np.array(cosines), "a second class token with the same vector and position"
        ),
    )


def model(size: ref.Size, w: ref.Weights, labels: tuple[AnswerLabel, ...], name: str) -> ModelCard:
    order = [label.index for label in labels]
    norm = NormWeights("layer", w["final_norm"]["weight"], w["final_norm"]["bias"], size.eps)
    return ModelCard(
        name=name,
        family="vit",
        modality="image",
        depth=size.depth,
        heads=size.heads,
        hidden=size.hidden,
        head_size=size.hidden // size.heads,
        feedforward=size.feedforward,
        parameters=1234,
        norm="pre",
        score_scale=1 / float(np.sqrt(size.hidden // size.heads)),
        position=PositionCard("added", "a learned vector for each position"),
        patch=size.patch,
        stem="linear",
        layout=f"1 class + {size.grid}x{size.grid} patch = {size.tokens}",
        readout=ReadoutCard("cls", True, "the class token after the final norm"),
        outcome="probability",
        temperature=1.0,
        classes=size.classes,
        trained_on="nothing: random weights",
        licence="none",
        gaps=(),
        shared=SharedWeights(
            attention_bias=np.stack([b["output"]["bias"] for b in w["blocks"]]),
            final_norm=norm,
            head=ClassifierRows(w["head"]["weight"][order], w["head"]["bias"][order], tuple(order)),
        ),
    )


def toy_weights(w: ref.Weights) -> ToyWeights:
    """The reference's weights as the document holds them."""

    def part(name: str, values: ref.Weights) -> LinearWeights | ToyNorm:
        return (ToyNorm if "norm" in name else LinearWeights)(**values)

    blocks = tuple(ToyBlock(**{name: part(name, values) for name, values in block.items()}) for block in w["blocks"])
    parts = {name: part(name, w[name]) for name in ("stem", "final_norm", "head")}
    return ToyWeights(**{**w, **parts, "blocks": blocks})


def statistic(mean: float, spread: float) -> Statistic:
    return Statistic(mean, mean - spread, mean + spread)


def walkthrough(
    size: ref.Size, *, toy: bool = True, full: bool = True, light: bool = False, name: str = "fixture"
) -> Walkthrough:
    """A document with two examples; `toy` puts all weights in, `full` keys and values of all tokens."""
    w = ref.random_weights(size, 7)
    examples = tuple(
        example(size, w, a, b, toy=toy, full=full, light=light) for a, b in (("disc", "bar"), ("bar", "disc"))
    )
    per_layer = tuple(statistic(size.tokens * 0.6 - layer, 1.0) for layer in range(size.depth))
    band = LayerBand(
        "effective_tokens",
        "effective number of tokens",
        "tokens",
        40,
        "random pictures",
        per_layer,
        ControlBand("random weights", per_layer),
    )
    claim = MeasuredClaim(
        "object-share",
        (5,),
        "Attention on the object, over its share of the picture",
        "x",
        40,
        "pictures",
        statistic(1.2, 0.1),
        ControlStatistic("random weights", statistic(1.0, 0.1)),
        "tests/page/fixture.py",
    )
    bins = tuple(
        ConfidenceBin(i / 5, (i + 1) / 5, 8 * i, i / 5 + 0.1, statistic(i / 5 + 0.05, 0.05) if i > 2 else None)
        for i in range(1, 5)
    )
    return Walkthrough(
        "classtoken (fixture)",
        model(size, w, examples[0].answers.labels, name),
        examples,
        (band,),
        (claim,),
        CalibrationChart(80, "random pictures", bins),
        (
            FamilyRow("ViT", "1", "0", "class token", "the original"),
            FamilyRow("SigLIP", "none", "0", "attention pooling", "no class token"),
        ),
        toy_weights(w) if toy else None,
    )


TOY = ref.Size()
PHOTO = ref.Size(grid=14, patch=8, channels=3, hidden=24, heads=3, depth=12, feedforward=48, classes=5)


def as_text(page: Walkthrough) -> Walkthrough:
    """The same numbers as if they came from a sentence: special tokens, spans, no grid, cosines for answers."""
    text = "Seven small <b>words</b> & ☂ all said."
    pieces = ["Seven", "small", "<b>", "words", "</b>", "&", "☂", "all said"]
    spans = [(text.index(piece), text.index(piece) + len(piece)) for piece in pieces]
    content = [ShownToken("content", piece, piece, span=span) for piece, span in zip(pieces, spans, strict=True)]
    tokens = (ShownToken("class", "[CLS]", "[CLS]"), *content, ShownToken("end", "[SEP]", "[SEP]"))
    examples = tuple(
        replace(
            e,
            input=ShownInput("text", text=text),
            tokens=tokens,
            truth=Truth(),
            contrast=replace(e.contrast, image=None, text="Another sentence.", tokens=tokens) if e.contrast else None,
        )
        for e in page.examples
    )
    model = replace(
        page.model,
        modality="text",
        patch=None,
        stem="table",
        outcome="cosine",
        classes=None,
        layout="1 class + n word piece + 1 end",
    )
    return replace(page, model=model, examples=examples, toy=None, calibration=None)


def itself(page: Walkthrough) -> Walkthrough:
    """The same page with 70 % of the first layer's attention at the class token itself, and 2 % of the second's."""

    def changed(e: Example) -> Example:
        weights = e.layers.weights.copy()
        for layer, own in ((0, 0.7), (1, 0.02)):
            weights[layer, :, 1:] *= (1 - own) / weights[layer, :, 1:].sum(-1, keepdims=True)
            weights[layer, :, 0] = own
        return replace(e, layers=replace(e.layers, weights=weights))

    return replace(page, examples=tuple(changed(e) for e in page.examples))


def strange(page: Walkthrough, typical: float) -> Walkthrough:
    """The same page of a model that knows how typical an input is of its classes."""
    examples = tuple(replace(e, answers=replace(e.answers, typical=typical)) for e in page.examples)
    return replace(page, examples=examples)
