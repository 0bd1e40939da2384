"""Tiny models of transformers, looked into and changed by hooks of torch and its attention interface, in float64; and
the same weights as a subject of ours."""

import copy
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from tests import folders
from tests.probe.subjects import ClassState
from torch import Tensor, nn

from classtoken.embedder import load
from classtoken.probe.subject import Linear, Subject
from classtoken.probe.traced import Traced, trace
from classtoken.tensors import Tokens
from classtoken.values import Role

Change = Callable[[Tensor], Tensor]
Changes = Mapping[tuple[str, int], Change]
"""(part, layer) -> what is put in its place: states (before the layer), scores, weights, heads, attention,
feedforward"""
TARGETS = torch.tensor([1, 2])
PARTS = ("weights", "values", "attention", "feedforward", "states", "embeddings", "heads")


@dataclass
class Seen:
    """What a forward of the reference showed: lists by layer; states before each layer, and after the last."""

    logits: Tensor
    parts: dict[str, list[Tensor]]

    def __getitem__(self, part: str) -> list[Tensor]:
        return self.parts[part]


class Reference:
    """A classifier of transformers with two layers, its inputs, and the places where its parts come out."""

    def __init__(self, model: nn.Module, inputs: dict[str, Tensor], layers: nn.ModuleList, head: nn.Module):
        self.model, self.inputs, self.layers, self.head = model, inputs, layers, head
        self.changes: Changes = {}
        self.parts: dict[str, list[Tensor]] = {}
        for number, layer in enumerate(layers):
            attention, output, feedforward = self.places(layer)
            attention.reference, attention.number = self, number
            layer.register_forward_pre_hook(self.before(number))
            output.register_forward_hook(self.after("attention", number))
            feedforward.register_forward_hook(self.after("feedforward", number))
        layers[-1].register_forward_hook(self.after("states", len(layers)))

    def places(self, layer: nn.Module) -> tuple[nn.Module, nn.Module, nn.Module]:
        """The attention itself, and the linear layers whose outputs attention and feed-forward add."""
        if hasattr(layer, "mlp"):
            return layer.attention, layer.attention.o_proj, layer.mlp.fc2
        return layer.attention.self, layer.attention.output.dense, layer.output.dense

    def seen(self, part: str, number: int, value: Tensor) -> Tensor:
        """A value as it is, or as it is changed to; kept."""
        change = self.changes.get((part, number))
        value = value if change is None else change(value)
        self.parts.setdefault(part, []).append(value)
        return value

    def before(self, number: int) -> Callable:
        return lambda module, given: (self.seen("states", number, given[0]), *given[1:])

    def after(self, part: str, number: int) -> Callable:
        return lambda module, given, found: self.seen(part, number, found)

    def run(self, changes: Changes | None = None, **other: Tensor) -> Seen:
        """A forward, with changes inside it or other inputs."""
        self.changes, self.parts = changes or {}, {}
        logits = self.model(**{**self.inputs, **other}).logits
        return Seen(logits, self.parts)

    @property
    def linear(self) -> bool:
        """Whether the classifier is one matrix."""
        return isinstance(self.head, nn.Linear)

    @torch.no_grad()
    def shorter(self, row: int, kept: Tensor) -> Tensor:
        """Logits (C) of one input whose sequence holds the kept tokens alone, with the positions that they had."""
        states = self.run()["states"][0][row : row + 1, kept]
        for layer in self.layers:
            states = layer(states)
        if hasattr(self.model, "vit"):
            states = self.model.vit.layernorm(states)
        return self.head(states[:, 0])[0]


def written_out(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **_: object,
) -> tuple[Tensor, Tensor]:
    """Attention as in Vaswani et al. 2017, in the states' own precision, every step open to a change."""
    reference, number = module.reference, module.number
    assert isinstance(reference, Reference)
    assert scaling is not None
    scores = query @ key.transpose(2, 3) * scaling
    scores = reference.seen("scores", number, scores if attention_mask is None else scores + attention_mask)
    weights = reference.seen("weights", number, scores.softmax(-1))
    reference.parts.setdefault("values", []).append(value)
    heads = reference.seen("heads", number, weights @ value)
    return heads.transpose(1, 2).contiguous(), weights


@dataclass(frozen=True)
class Pair:
    """The same weights and inputs: as a reference, and as a subject of ours; and two other inputs."""

    name: str
    reference: Reference
    subject: Subject
    tokens: Tokens
    others: Tokens

    def traced(self, *, gradients: bool = False, row: int | None = None) -> Traced:
        """Our forward, of both inputs or of one."""
        tokens = self.tokens if row is None else self.of(self.tokens, row)
        return trace(self.subject, tokens, PARTS, gradients=gradients)

    @staticmethod
    def of(tokens: Tokens, row: int) -> Tokens:
        """One input of a batch."""
        ids, pixels = (None if x is None else x[row : row + 1] for x in (tokens.ids_BL, tokens.pixels))
        return Tokens(tokens.roles_BL[row : row + 1], ids_BL=ids, pixels=pixels, grid=tokens.grid)

    def inputs(self, tokens: Tokens) -> dict[str, Tensor]:
        """Tokens of ours as the reference takes them."""
        return {"input_ids": tokens.ids_BL} if tokens.pixels is None else {"pixel_values": tokens.pixels}

    @property
    def content(self) -> list[int]:
        """Places of patches or word pieces, the same in both rows."""
        return [int(i) for i in (self.tokens.roles_BL[0] == Role.CONTENT).nonzero()[:, 0]]


def doubled(tokens: Tokens) -> Tokens:
    """Pixels in float64."""
    return Tokens(
        tokens.roles_BL,
        ids_BL=tokens.ids_BL,
        pixels=None if tokens.pixels is None else tokens.pixels.double(),
        grid=tokens.grid,
    )


@cache
def pairs() -> tuple[Pair, Pair]:
    """ViT with a linear classifier, and BERT with its pooler before it; written by transformers, read by both."""
    import transformers
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register("written_out", written_out)
    AttentionMaskInterface.register("written_out", eager_mask)
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for name, write, items in (
            ("ViT", folders.tiny_vit, folders.pictures(4)),
            ("BERT", folders.tiny_bert, ["the cat sits on a mat", "a dog runs under the house", *OTHERS]),
        ):
            embedder = load(write(Path(folder) / name, head=True))
            tokens, others = (doubled(embedder.tokens(items[i : i + 2])) for i in (0, 2))
            kind = f"{'ViTForImage' if name == 'ViT' else 'BertForSequence'}Classification"
            model = getattr(transformers, kind).from_pretrained(Path(folder) / name, attn_implementation="written_out")
            model = model.double().eval()
            if name == "ViT":
                layers, head = model.vit.layers, model.classifier
            else:
                layers = model.bert.encoder.layer
                head = nn.Sequential(model.bert.pooler.dense, nn.Tanh(), model.classifier)
            encoder = copy.deepcopy(embedder.tower().reading.encoder).double()
            ours = copy.deepcopy(head)
            linear = Linear(ours.weight.detach(), ours.bias.detach()) if isinstance(ours, nn.Linear) else None
            subject = Subject(encoder, ClassState(), ours, linear=linear)
            given = {"input_ids": tokens.ids_BL} if tokens.pixels is None else {"pixel_values": tokens.pixels}
            made.append(Pair(name, Reference(model, given, layers, head), subject, tokens, others))
    one, two = made
    return one, two


OTHERS = ["a red bird runs far away", "the blue house and the mat"]
