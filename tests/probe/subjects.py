"""Small random models in float64 on which the invariants are tested: no weight is left at its initial value."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from classtoken.encoder.encoder import Encoder
from classtoken.encoder.shape import BlockShape, ImageStem, Shape, TextStem
from classtoken.probe.capture import Chain, Keep
from classtoken.probe.removal import remove
from classtoken.probe.subject import Linear, Subject
from classtoken.probe.traced import trace
from classtoken.tensors import States, Tokens, Trace
from classtoken.values import Role

CLASSES = 5


@dataclass(frozen=True)
class Case:
    """A subject, two inputs, and two other inputs of the same shape."""

    name: str
    subject: Subject
    tokens: Tokens
    others: Tokens

    @property
    def encoder(self) -> Encoder:
        encoder = self.subject.encoder
        assert isinstance(encoder, Encoder)
        return encoder

    @property
    def places(self) -> Tensor:
        """Where the (first) class token stands, (B, 1)."""
        return (self.tokens.roles_BL == Role.CLASS).long().argmax(1, keepdim=True)


def kept_values(subject: Subject, tokens: Tokens, names: Sequence[str], edit: Trace | None = None) -> dict[str, Tensor]:
    """Internal values by their trace names, whole, with a change where one is given."""
    keep = Keep({name: lambda value: value for name in names})
    with torch.no_grad():
        subject.states(tokens, Chain(edit, keep))
    assert set(keep.kept) == set(names)
    return keep.kept


def removing(subject: Subject, tokens: Tokens, gone_BL: Tensor) -> Tensor:
    """Outcomes of every row without the tokens of its own row of `gone_BL`."""
    traced = trace(subject, tokens)
    return torch.cat([remove(traced, gone_BL[row : row + 1], row=row) for row in range(len(tokens))])


class ClassState(nn.Module):
    """The class token's final state, in the states' own precision."""

    def forward(self, states: States) -> Tensor:
        place = (states.roles_BL == Role.CLASS).long().argmax(1)
        return states.last_BLD[torch.arange(len(place)), place]


class Pooler(nn.Module):
    """tanh(W x + b), then a linear classifier: BERT's."""

    def __init__(self, size: int):
        super().__init__()
        self.dense, self.output = nn.Linear(size, size), nn.Linear(size, CLASSES)

    def forward(self, vector_BD: Tensor) -> Tensor:
        return self.output(torch.tanh(self.dense(vector_BD)))


def randomise(module: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.empty(parameter.shape, dtype=torch.float64).normal_(generator=generator)
            parameter.copy_(noise * 0.3 if parameter.dim() > 1 else parameter + noise * 0.1)


def build(encoder: Encoder, head: nn.Module, *, linear: bool, seed: int = 0) -> Subject:
    encoder.double().eval()
    head.double().eval()
    randomise(encoder, seed)
    randomise(head, seed + 1)
    matrix = Linear(head.weight.detach(), head.bias.detach()) if linear and isinstance(head, nn.Linear) else None
    return Subject(encoder, ClassState(), head, linear=matrix)


def vit(*, registers: int = 0, distillation: int = 0, class_tokens: int = 1, scale: bool = False) -> Shape:
    return Shape(
        hidden_size=24,
        depth=4,
        stem=ImageStem(
            patch=4,
            image=(12, 16),
            class_tokens=class_tokens,
            registers=registers,
            distillation_tokens=distillation,
        ),
        block=BlockShape(heads=3, feedforward_size=48, norm_eps=1e-6, layer_scale=scale),
    )


def images(shape: Shape, rows: int = 2, seed: int = 0) -> Tokens:
    stem = shape.stem
    assert isinstance(stem, ImageStem)
    roles = torch.tensor([int(role) for role in stem.layout().roles()]).expand(rows, -1)
    pixels = torch.empty(rows, 3, *stem.image, dtype=torch.float64)
    return Tokens(roles, pixels=pixels.normal_(generator=torch.Generator().manual_seed(seed)), grid=stem.grid)


def text_shape() -> Shape:
    return Shape(
        hidden_size=24,
        depth=4,
        stem=TextStem(vocabulary=50, positions=20, kinds=2),
        block=BlockShape(heads=3, feedforward_size=48, order="post", final_norm=False),
    )


def texts(lengths: tuple[int, ...] = (9, 9), seed: int = 0) -> Tokens:
    """[CLS] words [SEP], padded on the right."""
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    ids = torch.zeros(len(lengths), longest, dtype=torch.long)
    roles = torch.full((len(lengths), longest), int(Role.PAD))
    for row, n in enumerate(lengths):
        ids[row, :n] = torch.randint(5, 50, (n,), generator=generator)
        ids[row, 0], ids[row, n - 1] = 2, 3
        roles[row, :n] = int(Role.CONTENT)
        roles[row, 0], roles[row, n - 1] = int(Role.CLASS), int(Role.END)
    return Tokens(roles, ids_BL=ids)


def vit_case() -> Case:
    shape = vit()
    subject = build(Encoder(shape), nn.Linear(24, CLASSES), linear=True)
    return Case("ViT", subject, images(shape), images(shape, seed=1))


def registers_case() -> Case:
    shape = vit(registers=2, distillation=1, scale=True)
    subject = build(Encoder(shape), nn.Linear(24, CLASSES), linear=True, seed=3)
    return Case("ViT with registers and a distillation token", subject, images(shape), images(shape, seed=1))


def bert_case() -> Case:
    subject = build(Encoder(text_shape()), Pooler(24), linear=False, seed=5)
    return Case("BERT", subject, texts(), texts(seed=1))


def bert_linear_case() -> Case:
    """BERT with a linear classifier on the class token: the split through frozen norms exists here."""
    subject = build(Encoder(text_shape()), nn.Linear(24, CLASSES), linear=True, seed=6)
    return Case("BERT, linear head", subject, texts(), texts(seed=1))


CASES = {case().name: case for case in (vit_case, registers_case, bert_case)}
