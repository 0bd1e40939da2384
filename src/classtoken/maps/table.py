"""Every relevance map by name: one signature, what it needs, and the controls that it is held against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from classtoken.encoder.protocol import has_open_weights
from classtoken.errors import OptionError
from classtoken.maps import relevance
from classtoken.maps.faithfulness import edge_scores, random_scores
from classtoken.maps.flow import flow
from classtoken.maps.integrated import integrated, masked_text, mean_image
from classtoken.maps.occlusion import occlusion
from classtoken.maps.rollout import read_rows, roll
from classtoken.probe.accounting import attribute_logit
from classtoken.probe.subject import Subject
from classtoken.probe.traced import Traced
from classtoken.tensors import Tokens


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


Run = Callable[[Traced, Tensor, Setting], Tensor]


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
    needs_gradients: bool = False
    needs_linear: bool = False
    needs_image: bool = False
    slow: bool = False
    by_removal: bool = False
    """made by taking tokens away, which is also how maps are tested: the test flatters it"""


def _baseline(tokens: Tokens, setting: Setting) -> Tokens:
    if tokens.pixels is not None:
        return mean_image(tokens)
    if setting.mask_id is None:
        raise OptionError("integrated gradients of a text need the id of [MASK] or padding as a baseline.")
    return masked_text(tokens, setting.mask_id)


def _direct(traced: Traced, targets_B: Tensor, setting: Setting) -> Tensor:
    return attribute_logit(traced, traced.reader_BL.argmax(1, keepdim=True), targets_B).tokens_BNHL.sum((1, 2))


METHODS: tuple[Method, ...] = (
    Method(
        "attention",
        "raw attention, last layer",
        "where the readout's token looks in the last layer, heads averaged",
        lambda t, y, o: relevance.attention(t),
    ),
    Method(
        "weighted_attention",
        "attention x value length",
        "attention times the length of what it moves, last layer",
        lambda t, y, o: relevance.weighted_attention(t),
        needs_native=True,
    ),
    Method(
        "rollout",
        "attention rollout",
        "attention multiplied through all layers, the residual counting one half",
        lambda t, y, o: read_rows(roll(t), t.reader_BL),
    ),
    Method(
        "flow",
        "attention flow",
        "maximum flow through all layers; a rank, it saturates",
        lambda t, y, o: flow(t),
        slow=True,
    ),
    Method(
        "gradient_attention",
        "gradient x attention",
        "attention of the last layer times how the outcome would change with it",
        lambda t, y, o: relevance.gradient_attention(t, y),
        needs_gradients=True,
    ),
    Method(
        "chefer",
        "gradient-weighted rollout",
        "gradient x attention through all layers (Chefer et al. 2021)",
        lambda t, y, o: relevance.chefer(t, y),
        needs_gradients=True,
    ),
    Method(
        "gradient_input",
        "gradient x input",
        "slope of the outcome times the embedding",
        lambda t, y, o: relevance.gradient_input(t, y),
        needs_gradients=True,
        signed=True,
        needs_embeddings=True,
    ),
    Method(
        "integrated",
        "integrated gradients",
        "slopes summed on the way from a mean image or masked text; adds up to the difference",
        lambda t, y, o: integrated(t, y, _baseline(t.tokens, o)).relevance_BL,
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
        lambda t, y, o: occlusion(t, y, window=o.window),
        signed=True,
        slow=True,
        by_removal=True,
    ),
    Method(
        "random",
        "random",
        "control: random numbers",
        lambda t, y, o: random_scores(t.tokens, o.seed),
        control=True,
    ),
    Method(
        "edges",
        "edge detector",
        "control: Sobel edges of the picture, no model",
        lambda t, y, o: edge_scores(t.tokens, o.patch),
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
