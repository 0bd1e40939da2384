"""Relevance maps and descriptions, from the papers' formulas on what transformers' own modules show, in float64."""

import itertools
from collections.abc import Callable

import networkx as nx
import numpy as np
import torch
from scipy.ndimage import correlate1d
from scipy.stats import entropy as entropy_of_scipy
from sklearn.metrics import auc, average_precision_score, jaccard_score
from tests.references.models import TARGETS, Pair, Seen, pairs
from tests.references.row import Numbers, Row, drawn
from torch import Tensor

from classtoken.maps.faithfulness import curves, edge_scores, saco, token_order
from classtoken.maps.flow import flow
from classtoken.maps.integrated import integrated, masked_text, mean_image
from classtoken.maps.occlusion import occlusion
from classtoken.maps.relevance import attention, chefer, gradient_attention, gradient_input, weighted_attention
from classtoken.maps.rollout import read_rows, roll
from classtoken.maps.truth import overlap
from classtoken.probe.accounting import attribute_logit
from classtoken.probe.lens import lens
from classtoken.results.explain import CurveDefinition
from classtoken.study.description import attention_distance, entropy, head_agreement
from classtoken.tensors import Tokens

ROOM = "maps"
EXACT = 1e-10
CLASS = 0  # where the class token stands in both models


def slopes(seen: Seen, asked: list[Tensor]) -> tuple[Tensor, ...]:
    """Derivatives of the two inputs' target logits."""
    return torch.autograd.grad(seen.logits.gather(1, TARGETS[:, None]).sum(), asked, allow_unused=True)


def raw_attention(pair: Pair) -> Numbers:
    return [pair.reference.run()["weights"][-1].mean(1)[:, CLASS]]


def lengths_of_kobayashi(pair: Pair) -> Numbers:
    """||sum over heads of a W_O v||, token by token (Kobayashi et al. 2020, equation 3)."""
    seen = pair.reference.run()
    matrix = pair.reference.places(pair.reference.layers[-1])[1].weight
    values, weights = seen["values"][-1], seen["weights"][-1]
    B, H, L, K = values.shape
    found = torch.zeros(B, L, dtype=torch.float64)
    for b, j in itertools.product(range(B), range(L)):
        total = sum(weights[b, h, CLASS, j] * matrix[:, h * K : (h + 1) * K] @ values[b, h, j] for h in range(H))
        assert isinstance(total, Tensor)
        found[b, j] = total.norm()
    return [found]


def mixed(pair: Pair) -> list[np.ndarray]:
    """(A + I) / 2 of every layer, heads averaged, each (B, L, L)."""
    weights = [w.mean(1).detach().numpy() for w in pair.reference.run()["weights"]]
    return [0.5 * w + 0.5 * np.eye(w.shape[-1]) for w in weights]


def rollout_of_abnar(pair: Pair) -> Numbers:
    """The product of (A + I) / 2, last layer first (Abnar & Zuidema 2020)."""
    layers = mixed(pair)
    return [np.stack([np.linalg.multi_dot([m[b] for m in reversed(layers)])[CLASS] for b in range(2)])]


def flow_of_networkx(pair: Pair) -> Numbers:
    """Maximum flow from the class token above the last layer to each patch or word below the first."""
    layers, found = mixed(pair), np.zeros((2, pair.tokens.roles_BL.shape[1]))
    for b in range(2):
        graph = nx.DiGraph()
        for layer, matrix in enumerate(layers):
            for i, j in itertools.product(range(matrix.shape[1]), repeat=2):
                graph.add_edge((layer + 1, i), (layer, j), capacity=float(matrix[b, i, j]))
        for place in pair.content:
            found[b, place] = nx.maximum_flow_value(graph, (len(layers), CLASS), (0, place))
    return [found]


def attention_times_slope(pair: Pair) -> Numbers:
    """relu(slope x weight) of the last layer, mean over heads (GradCAM of attention)."""
    seen = pair.reference.run()
    (slope,) = slopes(seen, [seen["weights"][-1]])
    return [(slope * seen["weights"][-1]).clamp(min=0).mean(1)[:, CLASS]]


def published_chefer(pair: Pair) -> Numbers:
    """generate_relevance of the authors' ExplanationGenerator, one input at a time, the diagonal start taken off."""
    seen = pair.reference.run()
    grads = slopes(seen, seen["weights"])
    found = []
    for b in range(2):
        num_tokens = seen["weights"][0].shape[-1]
        R = torch.eye(num_tokens, dtype=torch.float64)
        for cam, grad in zip(seen["weights"], grads, strict=True):
            cam, grad = cam[b], grad[b]
            cam = grad * cam
            cam = cam.clamp(min=0).mean(dim=0)
            R = R + torch.matmul(cam, R)
        R[CLASS, CLASS] -= 1
        found.append(R[CLASS])
    return [torch.stack(found)]


def slope_times_input(pair: Pair) -> Numbers:
    seen = pair.reference.run()
    (slope,) = slopes(seen, [seen["states"][0]])
    return [(slope * seen["states"][0]).sum(-1)]


def baseline_of(pair: Pair) -> Tokens:
    """A mean image; [MASK] for every word."""
    return mean_image(pair.tokens) if pair.tokens.pixels is not None else masked_text(pair.tokens, 4)


def path_of_gauss(pair: Pair, points: int = 300) -> Numbers:
    """The integral by Gauss and Legendre's rule: other points and weights than ours, and many."""
    reference = pair.reference
    with torch.no_grad():
        start = reference.run(**pair.inputs(baseline_of(pair)))["states"][0].clone()
        end = reference.run()["states"][0].clone()
    places, weights = np.polynomial.legendre.leggauss(points)
    total = torch.zeros_like(end)
    for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
        inside = (start + float(place) * (end - start)).requires_grad_()
        seen = reference.run({("states", 0): lambda _, inside=inside: inside})
        (slope,) = slopes(seen, [inside])
        total += float(weight) * slope
    return [((end - start) * total).sum(-1)]


def written_along_the_logit(pair: Pair) -> Numbers:
    """What each token writes into the class token, times the logit's slope with the final norm's deviation held."""
    reference, seen = pair.reference, pair.reference.run()
    norm = reference.model.vit.layernorm
    last = seen["states"][-1][:, CLASS].detach().requires_grad_()
    centred = last - last.mean(-1, keepdim=True)
    deviation = (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt().detach()
    logits = reference.head(centred / deviation * norm.weight + norm.bias)
    (slope,) = torch.autograd.grad(logits.gather(1, TARGETS[:, None]).sum(), last)
    found = torch.zeros(pair.tokens.roles_BL.shape, dtype=torch.float64)
    for layer, weights, values in zip(reference.layers, seen["weights"], seen["values"], strict=True):
        output = reference.places(layer)[1]
        for j in range(found.shape[1]):
            alone = torch.zeros_like(weights)
            alone[..., j] = weights[..., j]
            written = (alone @ values)[:, :, CLASS].flatten(1) @ output.weight.T
            found[:, j] += (written * slope).sum(-1)
    return [found]


def without_each(pair: Pair) -> Numbers:
    """The target's logit less that of the sequence without a token: shorter, or by transformers' attention mask."""
    reference = pair.reference
    with torch.no_grad():
        whole = reference.run().logits
        found = torch.zeros(pair.tokens.roles_BL.shape, dtype=torch.float64)
        for b, place in itertools.product(range(2), pair.content):
            kept = torch.tensor([i for i in range(found.shape[1]) if i != place])
            found[b, place] = (whole[b] - reference.shorter(b, kept))[TARGETS[b]]
    return [found]


def without_each_by_mask(pair: Pair) -> Numbers:
    reference = pair.reference
    with torch.no_grad():
        whole = reference.run().logits
        found = torch.zeros(pair.tokens.roles_BL.shape, dtype=torch.float64)
        for place in pair.content:
            mask = torch.ones_like(pair.tokens.roles_BL)
            mask[:, place] = 0
            without = reference.run(attention_mask=mask).logits
            found[:, place] = (whole - without).gather(1, TARGETS[:, None])[:, 0]
    return [found]


def head_on_every_layer(pair: Pair) -> Numbers:
    """The classifier, after the final norm where there is one, on each layer's states (the logit lens)."""
    reference = pair.reference
    norm = getattr(getattr(reference.model, "vit", None), "layernorm", torch.nn.Identity())
    return [torch.stack([reference.head(norm(states[:, CLASS])) for states in reference.run()["states"]], 1)]


def scores(pair: Pair) -> Tensor:
    """A map with no ties."""
    return drawn(pair.tokens.roles_BL.shape[1], seed=11).double()


def our_curve(pair: Pair, order: str) -> Numbers:
    points = len(pair.content) + 1
    definition = CurveDefinition(points=points, scale="outcome")
    found = curves(pair.traced(row=0), 1, {"map": scores(pair)}, order, definition)["map"]  # type: ignore[arg-type]
    return [np.array(found.values), found.area]


def curve_of_shorter_sequences(pair: Pair, order: str) -> Numbers:
    """Deletion and insertion (Petsiuk et al. 2018, RISE): the area by scikit-learn's trapezoids."""
    ranked = sorted(pair.content, key=lambda place: -float(scores(pair)[place]))
    values = []
    for count in range(len(ranked) + 1):
        gone = ranked[:count] if order == "deletion" else ranked[count:]
        kept = torch.tensor([i for i in range(pair.tokens.roles_BL.shape[1]) if i not in gone])
        values.append(float(pair.reference.shorter(0, kept)[1]))
    return [np.array(values), auc(np.arange(len(values)) / len(ranked), values)]


def our_saco(pair: Pair) -> Numbers:
    return [saco(pair.traced(row=0), 1, scores(pair), groups=5)]


def saco_of_wu(pair: Pair) -> Numbers:
    """Algorithm 1 of Wu et al. 2024, as printed, on groups in descending order (no two effects are equal here)."""
    ranked = token_order(scores(pair), torch.tensor(pair.content), 0)
    groups = [part.tolist() for part in torch.tensor_split(ranked, 5)]
    everything = torch.arange(pair.tokens.roles_BL.shape[1])

    def probability(gone: list[int]) -> float:
        kept = torch.tensor([int(i) for i in everything if int(i) not in gone])
        return float(pair.reference.shorter(0, kept).softmax(-1)[1])

    s = [float(scores(pair)[group].sum()) for group in groups]
    falls = [probability([]) - probability(group) for group in groups]
    F, total = 0.0, 0.0
    for i in range(len(groups) - 1):
        for j in range(i + 1, len(groups)):
            weight = s[i] - s[j] if falls[i] >= falls[j] else -(s[i] - s[j])
            F += weight
            total += abs(weight)
    return [F / total]


def our_edges() -> Numbers:
    pair = pairs()[0]
    return [edge_scores(pair.tokens, 8)]


def edges_of_scipy() -> Numbers:
    """Sobel's two kernels, borders repeated; the mean length of the gradient in each patch."""
    pair = pairs()[0]
    assert pair.tokens.pixels is not None
    found = np.zeros(pair.tokens.roles_BL.shape)
    for b, picture in enumerate(pair.tokens.pixels.mean(1).numpy()):
        down, across = (
            correlate1d(correlate1d(picture, [-1, 0, 1], axis, mode="nearest"), [1, 2, 1], 1 - axis, mode="nearest")
            for axis in (0, 1)
        )
        length = np.hypot(down, across)
        found[b, pair.content] = length.reshape(4, 8, 4, 8).mean((1, 3)).ravel()
    return [found]


def mask_and_map() -> tuple[np.ndarray, np.ndarray]:
    """A mask on 49 patches, and a map that is higher on it than elsewhere."""
    on = (drawn(49, seed=1) > 0.5).double().numpy()
    return on, drawn(49, seed=2).double().numpy() + 2 * on


def our_overlap() -> Numbers:
    on, given = mask_and_map()
    found = overlap(given, on)
    return [found.pointing, found.mass, found.iou, found.average_precision]


def overlap_of_scikit_learn() -> Numbers:
    on, given = mask_and_map()
    best = np.zeros(49)
    best[np.argsort(-given)[: int(on.sum())]] = 1
    positive = np.clip(given, 0, None)
    return [
        on[given.argmax()],
        (positive * on).sum() / positive.sum(),
        jaccard_score(on, best),
        average_precision_score(on, given),
    ]


def our_descriptions(pair: Pair) -> Numbers:
    traced = pair.traced()
    return [
        torch.stack([entropy(w) for w in traced.parts["weights"]]),
        torch.stack([head_agreement(w) for w in traced.parts["weights"]]),
    ]


def descriptions_of_scipy(pair: Pair) -> Numbers:
    """Entropy; 1 less the heads' generalised Jensen-Shannon divergence (Lin 1991) over its bound."""
    weights = [w.detach().numpy() for w in pair.reference.run()["weights"]]
    each = [entropy_of_scipy(w, axis=-1) for w in weights]
    apart = [entropy_of_scipy(w.mean(1), axis=-1) - e.mean(1) for w, e in zip(weights, each, strict=True)]
    return [np.stack(each), 1 - np.stack(apart) / np.log(weights[0].shape[1])]


def our_distances() -> Numbers:
    pair = pairs()[0]
    traced = pair.traced()
    grid = pair.tokens.grid
    return [torch.stack([attention_distance(w, traced.roles_BL, grid, 8.0) for w in traced.parts["weights"]])]


def distances_of_dosovitskiy() -> Numbers:
    """Pixels between patches, weighed by attention (figure 7), the weight on patches brought back to 1."""
    pair = pairs()[0]
    places = [(8.0 * (n // 4), 8.0 * (n % 4)) for n in range(16)]
    found = []
    for weights in pair.reference.run()["weights"]:
        on = weights[:, :, 1:, 1:] / weights[:, :, 1:, 1:].sum(-1, keepdim=True)
        apart = torch.tensor([[np.hypot(a - c, b - d) for c, d in places] for a, b in places], dtype=torch.float64)
        found.append((on * apart).sum(-1).mean(-1))
    return [torch.stack(found)]


def direct(pair: Pair) -> Numbers:
    account = attribute_logit(pair.traced(), torch.tensor([[CLASS], [CLASS]]), TARGETS)
    return [account.tokens_BNHL.sum((1, 2))]


OF_BOTH: tuple[tuple[str, str, Callable[[Pair], Numbers], Callable[[Pair], Numbers], float], ...] = (
    ("raw attention", "the attention's own weights", lambda p: [attention(p.traced())], raw_attention, EXACT),
    (
        "attention x value length",
        "Kobayashi et al. 2020, written out",
        lambda p: [weighted_attention(p.traced())],
        lengths_of_kobayashi,
        EXACT,
    ),
    (
        "attention rollout",
        "Abnar & Zuidema 2020, numpy",
        lambda p: [read_rows(roll(p.traced()), p.traced().reader_BL)],
        rollout_of_abnar,
        EXACT,
    ),
    ("attention flow", "networkx maximum_flow_value", lambda p: [flow(p.traced())], flow_of_networkx, 1e-3),
    (
        "gradient x attention",
        "torch.autograd on transformers' weights",
        lambda p: [gradient_attention(p.traced(gradients=True), TARGETS)],
        attention_times_slope,
        EXACT,
    ),
    (
        "gradient-weighted rollout",
        "Chefer et al. 2021, the published loop",
        lambda p: [chefer(p.traced(gradients=True), TARGETS)],
        published_chefer,
        EXACT,
    ),
    (
        "gradient x input",
        "torch.autograd on transformers' embeddings",
        lambda p: [gradient_input(p.traced(gradients=True), TARGETS)],
        slope_times_input,
        EXACT,
    ),
    (
        "integrated gradients, settled to 1e-6",
        "numpy's Gauss-Legendre rule, 300 points",
        lambda p: [integrated(p.traced(gradients=True), TARGETS, baseline_of(p), limit=1e-6).relevance_BL],
        path_of_gauss,
        1e-5,
    ),
    (
        "integrated gradients as they are shown",
        "the same",
        lambda p: [integrated(p.traced(gradients=True), TARGETS, baseline_of(p)).relevance_BL],
        path_of_gauss,
        1e-2,
    ),
    (
        "occlusion",
        "transformers' layers on the shorter sequence",
        lambda p: [occlusion(p.traced(), TARGETS)],
        without_each,
        EXACT,
    ),
    ("lens", "the model's own norm and classifier", lambda p: [lens(p.traced())], head_on_every_layer, EXACT),
    *(
        (
            f"{order} curve and its area",
            "transformers on shorter sequences, scikit-learn auc",
            lambda p, order=order: our_curve(p, order),
            lambda p, order=order: curve_of_shorter_sequences(p, order),
            EXACT,
        )
        for order in ("deletion", "insertion")
    ),
    ("SaCo", "Wu et al. 2024, algorithm 1 as printed", our_saco, saco_of_wu, 1e-6),
    ("entropy, agreement of heads", "scipy.stats entropy", our_descriptions, descriptions_of_scipy, EXACT),
)

ROWS = (
    *(
        Row(
            ROOM,
            what,
            source,
            lambda ours=ours, number=number: ours(pairs()[number]),
            lambda theirs=theirs, number=number: theirs(pairs()[number]),
            tolerance,
            (name,),
        )
        for what, source, ours, theirs, tolerance in OF_BOTH
        for number, name in enumerate(("ViT", "BERT"))
    ),
    Row(
        ROOM,
        "occlusion",
        "transformers' attention_mask",
        lambda: [occlusion(pairs()[1].traced(), TARGETS)],
        lambda: without_each_by_mask(pairs()[1]),
        EXACT,
        ("BERT",),
    ),
    Row(
        ROOM,
        "direct logit attribution",
        "torch.autograd with the final norm's deviation held",
        lambda: direct(pairs()[0]),
        lambda: written_along_the_logit(pairs()[0]),
        EXACT,
        ("ViT",),
    ),
    Row(ROOM, "edge detector", "scipy.ndimage, Sobel's kernels", our_edges, edges_of_scipy, EXACT),
    Row(ROOM, "a map against a mask", "scikit-learn, numpy", our_overlap, overlap_of_scikit_learn, EXACT),
    Row(
        ROOM,
        "distance that patches look",
        "Dosovitskiy et al. 2021 over patches, numpy",
        our_distances,
        distances_of_dosovitskiy,
        EXACT,
        ("ViT",),
    ),
)
