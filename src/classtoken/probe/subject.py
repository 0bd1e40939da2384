"""The model as a study sees it: an encoder that can be traced, a readout, and the outcome that is to be explained."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from classtoken.encoder.protocol import AnyEncoder
from classtoken.errors import OptionError, TraceError
from classtoken.head import probabilities
from classtoken.tensors import States, Tokens, Trace
from classtoken.values import Role


@dataclass(frozen=True)
class Linear:
    """An outcome that is linear in the pooled state after the final norm: logits = weight_CD state + bias_C."""

    weight_CD: Tensor
    bias_C: Tensor


AnswerKind = Literal["probability", "sigmoid", "cosine", "along"]


class Cosines(nn.Module):
    """A head for a model that only gives vectors: the cosine to each of some reference vectors."""

    def __init__(self, vectors_RD: Tensor):
        super().__init__()
        self.register_buffer("references_RD", nn.functional.normalize(vectors_RD.float(), dim=-1))

    def forward(self, vectors_BD: Tensor) -> Tensor:
        return nn.functional.normalize(vectors_BD.float(), dim=-1) @ self.get_buffer("references_RD").mT


@dataclass(frozen=True)
class Subject:
    """An encoder and a readout, as one function from tokens to outcomes (B, C).

    readout: States -> vectors (B, D'), the pooling and all that follows it.
    head: vectors -> logits (B, C), or cosines (`comparing`); None for a model that only gives vectors. The outcome is
        then the vector, and, once `explaining` has fixed a direction, the vector's length along that.
    terms: for each pooling in the readout, the roles whose final states it reads (`cls`: the class token; `mean`: the
        patches; `cls+mean` has two terms).
    shares: for each term roles_BL -> weights (B, L) of its sum over tokens; even ones where a term is no such sum.
    per_class: class c is read from term c alone (a class token for each class); see `for_class`.
    multilabel: a sigmoid for each class instead of one softmax. temperature: divides the logits, as it was fitted.
    linear: set where logits are linear in the pooled state after the final norm; the exact split of a logit needs it.
    """

    encoder: AnyEncoder
    readout: Callable[[States], Tensor]
    head: Callable[[Tensor], Tensor] | None = None
    terms: tuple[frozenset[Role], ...] = (frozenset({Role.CLASS}),)
    shares: tuple[Callable[[Tensor], Tensor] | None, ...] = ()
    per_class: bool = False
    linear: Linear | None = None
    labels: tuple[str, ...] = ()
    multilabel: bool = False
    temperature: float = 1.0
    direction_BD: Tensor | None = None
    modules: tuple[nn.Module, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.heads or not self.depth:
            raise TraceError(
                f"this model has {self.depth} blocks and {self.heads} attention heads: there is no attention to "
                "explain. Give a transformer encoder."
            )

    @property
    def depth(self) -> int:
        """N, the number of blocks."""
        return self.encoder.depth

    @property
    def heads(self) -> int:
        """H, attention heads of a block."""
        return self.encoder.heads

    @property
    def causal(self) -> bool:
        """True when a token sees only those before it: a leading class token then holds nothing of the input."""
        return bool(getattr(self.encoder, "causal", False))

    def states(self, tokens: Tokens, trace: Trace | None = None) -> States:
        """States of the whole batch, in evaluation mode; flags, gradients and random state stay as they were."""
        check_tokens(tokens)
        return self.run(tokens, trace)

    def run(self, tokens: Tokens, trace: Trace | None = None) -> States:
        """`states` without the check that there is something to attend to: what removal leaves may be one token."""
        with undisturbed(*self._modules()):
            return self.encoder(tokens, trace=trace)

    def outcome(self, states: States) -> Tensor:
        """Outcomes (B, C) of final states: logits, cosines, the vector, or the length along a direction."""
        with undisturbed(*self._modules()):
            vectors_BD = self.readout(states)
            return self.along(vectors_BD) if self.head is None else self.head(vectors_BD)

    def along(self, vectors_BD: Tensor) -> Tensor:
        """Lengths (B, 1) of vectors along the direction; the vectors themselves while there is none."""
        return vectors_BD if self.direction_BD is None else (vectors_BD * self.direction_BD).sum(-1, keepdim=True)

    @property
    def kind(self) -> AnswerKind:
        """What `answers` gives: probabilities of one softmax, of a sigmoid each, cosines, or a length."""
        if self.head is None or isinstance(self.head, Cosines):
            return "along" if self.head is None else "cosine"
        return "sigmoid" if self.multilabel else "probability"

    def answers(self, outcome_BC: Tensor) -> Tensor:
        """Outcomes as a user sees them, (B, C) in float64: probabilities of logits / temperature, the same as
        `Embedder.probabilities` gives; cosines and lengths as they are."""
        if self.kind in ("along", "cosine"):
            return outcome_BC.double()
        return probabilities(outcome_BC, multilabel=self.multilabel, temperature=self.temperature)

    def probability(self, outcome_BC: Tensor, target: int) -> Tensor:
        """The target's answer, (B)."""
        check_target(target, outcome_BC.shape[1])
        return self.answers(outcome_BC)[:, target]

    def __call__(self, tokens: Tokens, trace: Trace | None = None) -> Tensor:
        """Outcomes (B, C) of a batch, with `trace` looking or changing."""
        return self.outcome(self.states(tokens, trace))

    @property
    def reads(self) -> frozenset[Role]:
        """Roles whose final states the readout reads."""
        return frozenset().union(*self.terms)

    def told(self, roles: Sequence[Role]) -> tuple[Role, ...]:
        """The roles of a row, by which its story is told.

        Under a causal mask a class token in front has read nothing but itself. Where the readout does not tell it from
        the other tokens, it is one of them, as the first token of a decoder is.
        """
        apart = any((Role.CLASS in term) != (Role.CONTENT in term) for term in self.terms)
        if not self.causal or apart or roles[0] != Role.CLASS:
            return tuple(roles)
        return (Role.PROMPT if Role.PROMPT in roles else Role.CONTENT, *roles[1:])

    def readable(self, roles: Iterable[int]) -> bool:
        """Whether a row of tokens of these roles has one for every term, so that there is a vector."""
        there = {Role(int(role)) for role in roles}
        return all(term & there for term in self.terms)

    def reader(self, roles_BL: Tensor) -> Tensor:
        """Weights (B, L) with which the readout reads final states: 1 for one class token, 1/n each for a mean of n.

        Several terms count alike. Raises `OptionError` for a row without any token of a term's roles.
        """
        weights = torch.zeros(roles_BL.shape, device=roles_BL.device)
        for roles, share in zip(self.terms, self.shares or (None,) * len(self.terms), strict=True):
            wanted = torch.isin(roles_BL, torch.tensor(sorted(roles), device=roles_BL.device))
            if bool((~wanted.any(1)).any()):
                names = ", ".join(sorted(role.name for role in roles))
                raise OptionError(f"a row has no token of the roles that the readout reads ({names}).")
            read = wanted.float() if share is None else share(roles_BL)
            weights += read / read.sum(1, keepdim=True) / len(self.terms)
        return weights

    def for_class(self, target: int) -> "Subject":
        """The subject of one class: where each class has a class token of its own, that token alone is read."""
        if not self.per_class:
            return self
        check_target(target, len(self.terms))
        return replace(self, terms=self.terms[target : target + 1], shares=self.shares[target : target + 1])

    def explaining(self, outcome_BC: Tensor, target: int = 0) -> "Subject":
        """The subject with its question settled, from the outcome of the whole input.

        A vector is explained by its projection on the input's own unit vector; of several class tokens with a class
        each, that of the target alone is read.
        """
        if self.head is None and self.direction_BD is None:
            return replace(self, direction_BD=nn.functional.normalize(outcome_BC.detach(), dim=-1))
        return self.for_class(target)

    def comparing(self, names: Sequence[str], vectors_RD: Tensor) -> "Subject":
        """A model that only gives vectors, answering with the cosine to each of some reference vectors."""
        head = Cosines(vectors_RD)
        return replace(self, head=head, labels=tuple(names), modules=(*self.modules, head))

    def row(self, i: int) -> "Subject":
        """The subject for row i of a batch alone."""
        return self if self.direction_BD is None else replace(self, direction_BD=self.direction_BD[i : i + 1])

    def randomised(self, seed: int = 0, how: str = "shuffled") -> "Subject":
        """The same architecture with other weights, as a control (Adebayo et al. 2018).

        shuffled: the values of every weight tensor in random order, so that their size and spread are kept;
        fresh: matrices drawn from a normal with deviation 0.02, norms at 1 and 0, biases at 0.
        The readout's own modules are randomised with it; the head, where it is one of `modules`, too.
        """
        if how not in ("shuffled", "fresh"):
            raise OptionError(f"random weights are 'shuffled' or 'fresh', not '{how}'.")
        modules = self._modules()
        memo: dict[int, object] = {}
        other = copy.deepcopy(self, memo)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for module in modules:
                copied = memo[id(module)]
                assert isinstance(copied, nn.Module)
                for name, parameter in copied.named_parameters():
                    owner, _, own = name.rpartition(".")
                    scale = own == "weight" and "norm" in type(copied.get_submodule(owner)).__name__.lower()
                    _randomise(parameter, how, generator, scale=scale)
        if self.linear is None:
            return other
        parts = (self.linear.weight_CD, self.linear.bias_C)
        return replace(other, linear=Linear(*(_copy_of(part, modules, memo) for part in parts)))

    def _modules(self) -> tuple[nn.Module, ...]:
        own = (self.encoder, self.readout, self.head)
        return tuple({id(m): m for m in (*own, *self.modules) if isinstance(m, nn.Module)}.values())


def _copy_of(part: Tensor, modules: Iterable[nn.Module], memo: dict[int, object]) -> Tensor:
    """What a parameter became in a deep copy; a tensor that is no parameter of the modules stays."""
    for parameter in (p for module in modules for p in module.parameters()):
        if parameter.data_ptr() == part.data_ptr() and parameter.shape == part.shape:
            copied = memo[id(parameter)]
            assert isinstance(copied, Tensor)
            return copied.detach()
    return part


def _randomise(parameter: Tensor, how: str, generator: torch.Generator, *, scale: bool) -> None:
    if how == "shuffled":
        order = torch.randperm(parameter.numel(), generator=generator)
        parameter.copy_(parameter.flatten()[order.to(parameter.device)].view_as(parameter))
    elif parameter.dim() > 1:
        parameter.copy_(torch.empty(parameter.shape).normal_(0.0, 0.02, generator=generator))
    elif scale or bool((parameter > 0).float().mean() > 0.9):  # of a norm, or of what scales a layer
        parameter.fill_(1.0)
    else:
        parameter.zero_()


def check_tokens(tokens: Tokens) -> None:
    """Raise `OptionError` for a row of padding only, or of one token: attention has nothing to choose there."""
    counts = tokens.mask_BL.sum(1)
    if bool((counts == 0).any()):
        row = int((counts == 0).nonzero()[0])
        raise OptionError(f"row {row} holds nothing but padding; give an input with at least two tokens.")
    if bool((counts == 1).any()):
        row = int((counts == 1).nonzero()[0])
        raise OptionError(
            f"row {row} is one token: it attends to itself alone, so there is nothing to explain. Give a longer input."
        )


def check_target(target: int, classes: int) -> int:
    """Return `target` if 0 <= target < classes. Negative indices are not allowed: raises `OptionError`."""
    if not 0 <= target < classes:
        raise OptionError(f"class {target} does not exist: this model has classes 0 to {classes - 1}.")
    return target


@contextmanager
def undisturbed(*modules: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; every module's own train/eval flag afterwards, whatever happens."""
    flags = [(module, module.training) for root in modules for module in root.modules()]
    for module, training in flags:
        if training:
            module.training = False
    try:
        yield
    finally:
        for module, training in flags:
            module.training = training
