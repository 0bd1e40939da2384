"""Every relevance map by name: one signature, what it needs, and the controls that it is held against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from classtoken.encoder.protocol import has_open_weights
from classtoken.errors import OptionError
from classtoken.maps import relevance
from classtoken.maps.faithfulness import edge_scores, random_scores
from classtoken.maps.flow import attention_flow
from classtoken.maps.integrated import integrated, masked_text, mean_image
from classtoken.maps.occlusion import occlusion
from classtoken.maps.rollout import fuse_heads, read_rows, roll, with_residual
from classtoken.probe.accounting import attribute_logit
from classtoken.probe.capture import Keep
from classtoken.probe.subject import Subject
from classtoken.tensors import Tokens
from classtoken.values import Role


@dataclass(frozen=True)
class Setting:
    """What methods need besides the model and the input.

    patch: side of a patch in pixels, for the edge detector. mask_id: the word piece that stands for "nothing here" in
    integrated gradients of texts. seed: of the random control. window: patches removed together by occlusion.
    """

    patch: int = 16
    mask_id: int | None = None
    seed: int = 0
    window: int = 1


Run = Callable[[Subject, Tokens, Tensor, Setting], Tensor]


@dataclass(frozen=True)
class Method:
    """A map: (B, L) scores, higher is more relevant; `signed` ones say for or against; `control` ones know no model."""

    name: str
    title: str
    says: str
    run: Run
    signed: bool = False
    control: bool = False
    needs_native: bool = False
    needs_embeddings: bool = False
    needs_linear: bool = False
    needs_image: bool = False
    slow: bool = False


def _baseline(tokens: Tokens, setting: Setting) -> Tokens:
    if tokens.pixels is not None:
        return mean_image(tokens)
    if setting.mask_id is None:
        raise OptionError("integrated gradients of a text need the id of [MASK] or padding as a baseline.")
    return masked_text(tokens, setting.mask_id)


def _flow(subject: Subject, tokens: Tokens, targets_B: Tensor, setting: Setting) -> Tensor:
    """Max-flow from the readout's token to every CONTENT token, for a readout of one token."""
    reader = subject.reader(tokens.roles_BL)
    if not bool((reader.amax(1) == 1).all()):
        raise OptionError("attention flow starts at one token; this readout reads several. Use rollout.")
    names = [f"blocks.{i}.weights" for i in range(subject.depth)]
    keep = Keep({name: lambda w: with_residual(fuse_heads(w)) for name in names})
    with torch.no_grad():
        subject.states(tokens, keep)
    scores = torch.zeros(reader.shape)
    for b in range(len(tokens)):
        here = tokens.roles_BL[b] != Role.PAD
        places = (tokens.roles_BL[b] == Role.CONTENT).nonzero()[:, 0]
        layers = [keep.kept[name][b].cpu().double().numpy() for name in names]
        if not bool(here.all()):
            kept = here.nonzero()[:, 0].cpu().numpy()
            layers = [m[kept][:, kept] / m[kept][:, kept].sum(1, keepdims=True) for m in layers]
        number = {int(p): n for n, p in enumerate(here.nonzero()[:, 0].tolist())}
        found = attention_flow(layers, number[int(reader[b].argmax())], [number[int(p)] for p in places])
        scores[b, places] = torch.from_numpy(found).float()
    return scores


def _direct(subject: Subject, tokens: Tokens, targets_B: Tensor, setting: Setting) -> Tensor:
    place = subject.reader(tokens.roles_BL).argmax(1, keepdim=True)
    return attribute_logit(subject, tokens, place, targets_B).tokens_BNHL.sum((1, 2))


METHODS: tuple[Method, ...] = (
    Method(
        "attention",
        "raw attention, last layer",
        "where the readout's token looks in the last layer, heads averaged",
        lambda s, t, y, o: relevance.attention(s, t),
    ),
    Method(
        "weighted_attention",
        "attention x value length",
        "attention times the length of what it moves, last layer",
        lambda s, t, y, o: relevance.weighted_attention(s, t),
        needs_native=True,
    ),
    Method(
        "rollout",
        "attention rollout",
        "attention multiplied through all layers, the residual counting one half",
        lambda s, t, y, o: read_rows(roll(s, t), s.reader(t.roles_BL)),
    ),
    Method("flow", "attention flow", "maximum flow through all layers; a rank, it saturates", _flow, slow=True),
    Method(
        "gradient_attention",
        "gradient x attention",
        "attention of the last layer times how the outcome would change with it",
        lambda s, t, y, o: relevance.gradient_attention(s, t, y),
    ),
    Method(
        "chefer",
        "gradient-weighted rollout",
        "gradient x attention through all layers (Chefer et al. 2021)",
        lambda s, t, y, o: relevance.chefer(s, t, y),
    ),
    Method(
        "gradient_input",
        "gradient x input",
        "slope of the outcome times the embedding",
        lambda s, t, y, o: relevance.gradient_input(s, t, y),
        signed=True,
        needs_embeddings=True,
    ),
    Method(
        "integrated",
        "integrated gradients",
        "slopes summed on the way from a mean image or masked text; adds up to the difference",
        lambda s, t, y, o: integrated(s, t, y, _baseline(t, o)).relevance_BL,
        signed=True,
        needs_embeddings=True,
        slow=True,
    ),
    Method(
        "direct",
        "direct logit attribution",
        "what each token wrote into the class token in the logit's direction, all layers; an exact split",
        _direct,
        signed=True,
        needs_native=True,
        needs_linear=True,
    ),
    Method(
        "occlusion",
        "occlusion",
        "what the outcome loses when the token is not there",
        lambda s, t, y, o: occlusion(s, t, y, window=o.window),
        signed=True,
        slow=True,
    ),
    Method(
        "random",
        "random",
        "control: random numbers",
        lambda s, t, y, o: random_scores(t, o.seed),
        control=True,
    ),
    Method(
        "edges",
        "edge detector",
        "control: Sobel edges of the picture, no model",
        lambda s, t, y, o: edge_scores(t, o.patch),
        control=True,
        needs_image=True,
    ),
)
BY_NAME = {method.name: method for method in METHODS}


def available(subject: Subject, tokens: Tokens) -> tuple[Method, ...]:
    """The methods that this model and input allow."""
    native = has_open_weights(subject.encoder)
    one = bool((subject.reader(tokens.roles_BL).amax(1) == 1).all())

    def fits(method: Method) -> bool:
        if method.needs_native and not native:
            return False
        if method.needs_embeddings and "embeddings" in subject.encoder.gaps:
            return False
        if method.needs_linear and (subject.linear is None or not one):
            return False
        if method.name == "flow" and not one:
            return False
        return not method.needs_image or (tokens.pixels is not None and tokens.pixels.dim() == 4)

    return tuple(method for method in METHODS if fits(method))


def chosen(names: Sequence[str], subject: Subject, tokens: Tokens) -> tuple[Method, ...]:
    """Methods by name. Raises `OptionError` for one that does not exist or that this model cannot give."""
    possible = {method.name: method for method in available(subject, tokens)}
    for name in names:
        if name not in BY_NAME:
            raise OptionError(f"there is no method '{name}'; methods are {', '.join(BY_NAME)}.")
        if name not in possible:
            raise OptionError(f"'{name}' does not fit this model and input; possible are {', '.join(possible)}.")
    return tuple(possible[name] for name in names)
