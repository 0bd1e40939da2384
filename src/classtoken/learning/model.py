"""What learns: an encoder, a readout (one vector per row) and a head."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from classtoken.errors import OptionError
from classtoken.head import Head, make_head
from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.recipe import HeadOptions, LoopOptions
from classtoken.pooling.build import make
from classtoken.pooling.spec import Spec, parse
from classtoken.readout.readout import Readout
from classtoken.tensors import Tokens
from classtoken.values import Role

LOG = logging.getLogger("classtoken")


class Network(nn.Module):
    """vector = readout(encoder(tokens)); logits = head(vector)."""

    def __init__(self, encoder: nn.Module, readout: Readout, head: nn.Module):
        super().__init__()
        self.encoder, self.readout, self.head = encoder, readout, head

    def vectors(self, tokens: Tokens) -> Float[Tensor, "B V"]:
        """One vector a row."""
        return self.readout(self.encoder(tokens, layers=self.readout.layers, rows=self.readout.rows))

    def forward(self, tokens: Tokens) -> Float[Tensor, "B C"]:
        """Logits."""
        return self.head(self.vectors(tokens))


def spec_for(pooling: str, head: str, class_tokens: int) -> Spec:
    """The pooling as parsed, `cls` as the head means it: a class token per class by its number, or cls and dist."""
    if head == "per_token" and pooling == "cls":
        return parse("+".join(f"cls({i})" for i in range(class_tokens)))
    return parse("cls+dist" if head == "distilled" and pooling == "cls" else pooling)


def pooling_arguments(
    spec: Spec, encoder: Any, positions: int | None, grid: tuple[int, int] | None
) -> dict[str, dict[str, Any]]:
    """What builds the learned poolings of a spec again (`pooling.make`), by their names."""
    arguments: dict[str, dict[str, Any]] = {}
    for term in spec.terms:
        if term.learned or term.about.length != "any":  # some without weights need to know how many tokens there are
            arguments[str(term)] = {"dim": encoder.hidden_size}
            if term.about.length != "any":
                tokens = encoder.layout.length if term.about.length == "all" else None  # None: as many as the text has
                arguments[str(term)] |= {"positions": tokens or positions, "grid": None if grid is None else list(grid)}
    return arguments


def new_readout(
    spec: Spec, encoder: Any, over: frozenset[Role], *, positions: int | None, grid: tuple[int, int] | None, seed: int
) -> Readout:
    """A readout whose learned poolings start from a seed."""
    size = encoder.hidden_size
    arguments = pooling_arguments(spec, encoder, positions, grid)
    learned = {name: make(parse(name).terms[0], **given, seed=seed) for name, given in arguments.items()}
    return Readout(spec, encoder.depth, over, size=size, learned=learned)


def begin_with(readout: Readout, learned: Mapping[str, nn.Module]) -> None:
    """Give a readout the weights that a MODEL has learned for the same poolings; one of another size begins anew, and
    says so."""
    for term, pooling in zip(readout.spec.terms, readout.poolings, strict=True):
        known = learned.get(str(term))
        if known is None:
            continue
        if _sizes(known) == _sizes(pooling):
            pooling.load_state_dict(known.state_dict())
        else:
            LOG.warning("the pooling '%s' begins anew: the model learned it for inputs of another length or size", term)


def _sizes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def new_network(
    encoder: Any,
    spec: Spec,
    head: HeadOptions | nn.Module,
    rows: TrainingSet,
    *,
    seeds: tuple[int, int],
    class_tokens: int = 1,
) -> Network:
    """An encoder with a fresh readout and a fresh head for these rows; a module as `head` is taken as it is."""
    readout = new_readout(spec, encoder, rows.over, positions=rows.positions, grid=rows.grid, seed=seeds[0])
    if isinstance(head, nn.Module):
        return Network(encoder, readout, head)
    width = width_of(readout, encoder.hidden_size)
    made = new_head(head.kind, width, rows.labels, hidden=head.hidden, seed=seeds[1], class_tokens=class_tokens)
    return Network(encoder, readout, made)


def width_of(readout: Readout, size: int) -> int:
    """Length of the vector that a readout gives."""
    return sum(int(getattr(pooling, "width", size)) for pooling in readout.poolings)


def new_head(kind: str, width: int, labels: Sequence[str], *, hidden: int, seed: int, class_tokens: int = 1) -> Head:
    """A fresh head. Refuses a class token per class where the two numbers differ."""
    if kind == "per_token" and len(labels) != class_tokens:
        raise OptionError(
            f"head 'per_token' has one class token a class: the encoder has {class_tokens} and the records "
            f"{len(labels)} labels ({', '.join(labels[:8])}). Set class_tokens = {len(labels)}."
        )
    return make_head(kind, width, len(labels), hidden=hidden, seed=seed)


def label_shares(targets_NC: Tensor) -> Tensor:
    """How often each label is on a row, for `Head.expect`: (n + 1/2) / (N + 1), rows without labels (nan) left out."""
    known_NC = targets_NC[~targets_NC.isnan().any(1)].float()
    return (known_NC.sum(0) + 0.5) / (len(known_NC) + 1)


def set_regularisation(encoder: nn.Module, options: LoopOptions) -> None:
    """Dropped paths rising linearly from 0 to `drop_path` over the blocks, one dropout rate everywhere, and whether
    blocks are computed again in the backward pass."""
    encoder.recompute = options.recompute  # type: ignore[assignment]
    paths: list[Any] = [m for name, m in encoder.named_modules() if name.endswith("drop_path")]
    for i, path in enumerate(paths):
        path.rate = options.drop_path * i / max(1, len(paths) - 1)
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = options.dropout
