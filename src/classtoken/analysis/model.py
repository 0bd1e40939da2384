"""An embedder as a subject: which outcome it has, which tokens its readout reads, whether a logit is linear in them."""

from typing import Any

from torch import nn

from classtoken.analysis.subject import Linear, Subject
from classtoken.embedder import Embedder
from classtoken.encoder.attention import Attention
from classtoken.errors import TraceError
from classtoken.pooling.base import Pooling
from classtoken.pooling.spec import parse
from classtoken.readout.classifier import Classifier
from classtoken.readout.own import OwnPooler
from classtoken.readout.readout import Readout
from classtoken.values import Role


def subject_of(embedder: Embedder, *, pooling: str | None = None, modality: str | None = None) -> Subject:
    """The embedder with the outcome that it is used for: its classifier's logits, or else its vector.

    pooling: explain the vector of this pooling instead. Raises `TraceError` for a model without attention.
    """
    tower = embedder.tower(modality)
    encoder = tower.reading.encoder
    require_attention(encoder, embedder.name)
    classifier = tower.reading.classifier if pooling is None else None
    if classifier is not None:
        return classifying(encoder, classifier)
    spec = parse(pooling) if pooling is not None else None
    readout = tower.reading.readout(spec, unit_length=False).to(embedder.device).eval()
    return Subject(encoder, readout, terms=terms_of(readout), modules=(readout,))


def classifying(encoder: Any, classifier: Classifier) -> Subject:
    """A subject whose outcomes are a classifier's logits."""
    readout, head = classifier.readout, classifier.head
    return Subject(
        encoder,
        readout,
        head,
        terms=terms_of(readout),
        linear=linear_of(readout, head),
        labels=classifier.labels,
        multilabel=classifier.multilabel,
        modules=(readout, head),
    )


def terms_of(readout: Readout) -> tuple[frozenset[Role], ...]:
    """For each term of a readout the roles that it reads."""
    terms = []
    for pooling in readout.poolings:
        if isinstance(pooling, OwnPooler):
            terms.append(pooling.roles or (frozenset({Role.CONTENT}) if pooling.row.kind != "tanh" else readout.over))
        elif isinstance(pooling, Pooling):
            terms.append(pooling.reads(readout.over))
    return tuple(terms)


def linear_of(readout: Readout, head: nn.Module) -> Linear | None:
    """The head as one matrix, where logits are exactly that times the class token's normed state; else None."""
    plain = str(readout.spec) == "cls" and not len(readout.after) and not readout.unit_length
    if not plain:
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
            f"the attention of '{name}' cannot be captured, and an empty map is never drawn. Load a model whose "
            "attention can be written out (Hugging Face: attn_implementation='eager')."
        )
