"""An embedder as a subject: which outcome it has, which tokens its readout reads, whether a logit is linear in them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from classtoken.embedder import Embedder
from classtoken.encoder.attention import Attention
from classtoken.errors import TraceError
from classtoken.head import PerTokenHead
from classtoken.pooling.base import Pooling
from classtoken.pooling.fixed import RolePooling
from classtoken.pooling.spec import parse
from classtoken.probe.subject import Linear, Subject
from classtoken.readout.classifier import Classifier
from classtoken.readout.own import EVERY, OneState, OverTokens, OwnPooler
from classtoken.readout.readout import Readout
from classtoken.values import Role


def subject_of(
    embedder: Embedder, *, pooling: str | None = None, modality: str | None = None, prompt: str | None = None
) -> Subject:
    """The embedder with the outcome that it is used for: its classifier's logits, or else its vector.

    pooling: explain the vector of this pooling instead. prompt: of the inputs, which may not be pooled. Raises
    `TraceError` for a model without attention.
    """
    tower = embedder.tower(modality)
    encoder = tower.reading.encoder
    require_attention(encoder, embedder.name)
    classifier = tower.reading.classifier if pooling is None else None
    over = tower.prepare.pooled_roles(prompt)
    if classifier is not None:
        return classifying(encoder, classifier, over)
    return giving_vectors(embedder, pooling=pooling, modality=modality, prompt=prompt)


def giving_vectors(
    embedder: Embedder, *, pooling: str | None = None, modality: str | None = None, prompt: str | None = None
) -> Subject:
    """The embedder with its vector for outcome, whatever classifier it has: this pooling's, or the whole contract's."""
    tower = embedder.tower(modality)
    require_attention(tower.reading.encoder, embedder.name)
    spec = parse(pooling) if pooling is not None else None
    readout = tower.reading.readout(spec, unit_length=False).pooling_over(tower.prepare.pooled_roles(prompt))
    readout = readout.to(embedder.device).eval()
    return Subject(
        tower.reading.encoder, readout, terms=terms_of(readout), shares=shares_of(readout), modules=(readout,)
    )


def classifying(encoder: Any, classifier: Classifier, over: frozenset[Role] | None = None) -> Subject:
    """A subject whose outcomes are a classifier's logits, its vector pooled over these roles, or its own."""
    readout, head = classifier.readout.pooling_over(over), classifier.head
    return Subject(
        encoder,
        readout,
        head,
        terms=terms_of(readout),
        shares=shares_of(readout),
        per_class=isinstance(head, PerTokenHead) and len(readout.poolings) == head.classes,
        linear=linear_of(readout, head),
        labels=classifier.labels,
        multilabel=classifier.multilabel,
        temperature=float(classifier.temperature),
        modules=(readout, head),
    )


def terms_of(readout: Readout) -> tuple[frozenset[Role], ...]:
    """For each term of a readout the roles that it reads."""
    terms = []
    for pooling in readout.poolings:
        if isinstance(pooling, OwnPooler):
            terms.append(pooling.roles or _roles_of(pooling))
        elif isinstance(pooling, Pooling):
            terms.append(pooling.reads(readout.over))
    return tuple(terms)


def _roles_of(pooling: OwnPooler) -> frozenset[Role]:
    """Roles of the tokens of which a pooled output reads one (the last, CLIP's end token), or all."""
    if isinstance(pooling, OneState):
        return EVERY
    return pooling.over if isinstance(pooling, OverTokens) else frozenset({Role.CONTENT})


def shares_of(readout: Readout) -> tuple[Callable[[Tensor], Tensor] | None, ...]:
    """For each term that is a weighted sum of tokens their weights; None for the others (a maximum, say)."""
    return tuple(_share_of(pooling, readout) for pooling in readout.poolings)


def _share_of(pooling: nn.Module, readout: Readout) -> Callable[[Tensor], Tensor] | None:
    if isinstance(pooling, RolePooling):
        return partial(pooling.shares, over=readout.over)
    return pooling.share if isinstance(pooling, OneState) else None


def linear_of(readout: Readout, head: nn.Module) -> Linear | None:
    """The head as one matrix, where logits are exactly that times the normed state of the class token (of a class's own
    one, where each class has one); else None."""
    if len(readout.after) or readout.unit_length:
        return None
    tokens = range(head.classes) if isinstance(head, PerTokenHead) else ()
    if isinstance(head, PerTokenHead) and str(readout.spec) == "+".join(f"cls({c})" for c in tokens):
        return Linear(head.weight.detach(), head.bias.detach())
    if str(readout.spec) != "cls":
        return None
    steps = [module for module in head.modules() if not list(module.children())]
    if len(steps) != 1 or not isinstance(steps[0], nn.Linear):
        return None
    output = steps[0]
    bias = output.weight.new_zeros(output.out_features) if output.bias is None else output.bias
    return Linear(output.weight.detach(), bias.detach())


def require_attention(encoder: Any, name: str) -> None:
    """Raise `TraceError` for a model whose blocks have no softmax attention that can be looked at."""
    native = hasattr(encoder, "blocks") and hasattr(encoder, "shape")
    if native and any(not isinstance(getattr(block, "attention", None), Attention) for block in encoder.blocks):
        raise TraceError(f"'{name}' has blocks without softmax attention; there is nothing to draw.")
    if "weights" in encoder.gaps and "scores" in encoder.gaps:
        raise TraceError(
            f"the attention of '{name}' cannot be captured, and an empty map is never drawn: it mixes tokens in a "
            "way of its own (within windows, by convolutions). docs/families.md lists models that can be looked into."
        )
