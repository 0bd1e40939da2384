"""Heads: a vector per row in, a logit per class out.

A head knows nothing of where the vector comes from. `arguments` are the plain values from which `make_head` builds the
same head again; weights are saved under the names they have here. New heads start from a named seed: matrices that make
logits from a normal distribution with standard deviation 0.01, biases 0 (DINO's linear evaluation), so that the first
predictions are near uniform; where labels are decided one by one, `expect` lets them start from how often each occurs.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from classtoken.errors import OptionError

STD = 0.01


class Head(nn.Module, ABC):
    """vectors_BV -> logits_BC. `size` is V, the length of the vectors; `classes` is C."""

    kind: str

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        if size < 1 or classes < 1:
            raise OptionError(f"a head reads 1 number or more and has 1 class or more, not {size} and {classes}.")
        self.size, self.classes = size, classes

    @property
    def arguments(self) -> dict[str, Any]:
        """What `make_head` takes to build it again; plain values for JSON."""
        return {"kind": self.kind, "size": self.size, "classes": self.classes}

    @property
    def biases(self) -> tuple[nn.Parameter, ...]:
        """The biases of the logits, (C,) each; none where a head has none."""
        return ()

    def expect(self, shares_C: Float[Tensor, " C"]) -> None:
        """Start from how often each label is there: biases become its log-odds (Lin et al. 2017, section 4.1).

        For labels that are decided one by one. From biases of 0 every rare label asks for the same thing first, "less",
        and with small steps everything before the head learns that instead of what tells labels apart.
        """
        with torch.no_grad():
            for bias in self.biases:
                bias.copy_(shares_C.logit())

    @abstractmethod
    def forward(self, vectors_BV: Float[Tensor, "B V"]) -> Float[Tensor, "B C"]:
        """One logit per class."""


class LinearHead(Head):
    """`linear`: W v + b. V C + C parameters."""

    kind = "linear"

    def __init__(self, size: int, classes: int, *, seed: int = 0) -> None:
        super().__init__(size, classes)
        self.output = _small(nn.Linear(size, classes), torch.Generator().manual_seed(seed))

    @property
    def biases(self) -> tuple[nn.Parameter, ...]:
        return (self.output.bias,)

    def forward(self, vectors_BV: Float[Tensor, "B V"]) -> Float[Tensor, "B C"]:
        return self.output(vectors_BV)


class CosineHead(Head):
    """`cosine`: s cos(v, w_c), the length of the vector left out; s = exp(log_scale) is learned and starts at `scale`.

    V C + 1 parameters. The default scale is CLIP's first one, 1 / 0.07.
    """

    kind = "cosine"

    def __init__(self, size: int, classes: int, *, scale: float = 1 / 0.07, seed: int = 0) -> None:
        super().__init__(size, classes)
        if scale <= 0:
            raise OptionError(f"the scale of a cosine head must be above 0, not {scale}.")
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(classes, size, generator=generator) * STD)
        self.log_scale = nn.Parameter(torch.tensor(float(scale)).log())

    def forward(self, vectors_BV: Float[Tensor, "B V"]) -> Float[Tensor, "B C"]:
        directions_BV = nn.functional.normalize(vectors_BV, dim=-1)
        return self.log_scale.exp() * directions_BV @ nn.functional.normalize(self.weight, dim=-1).T


class MlpHead(Head):
    """`mlp`: W2 gelu(W1 v + b1) + b2 with `hidden` numbers between; 0 is twice the vector's length.

    The control for a learned pooling: as many parameters, on top of a plain mean. W1 starts with Xavier's uniform
    numbers: two small matrices in a row would let nothing through.
    """

    kind = "mlp"

    def __init__(self, size: int, classes: int, *, hidden: int = 0, seed: int = 0) -> None:
        super().__init__(size, classes)
        if hidden < 0:
            raise OptionError(f"the hidden size of an mlp head must be 1 or more, or 0 for twice {size}, not {hidden}.")
        self.hidden = hidden or 2 * size
        generator = torch.Generator().manual_seed(seed)
        self.dense = nn.Linear(size, self.hidden)
        nn.init.xavier_uniform_(self.dense.weight, generator=generator)
        nn.init.zeros_(self.dense.bias)
        self.output = _small(nn.Linear(self.hidden, classes), generator)

    @property
    def arguments(self) -> dict[str, Any]:
        return {**super().arguments, "hidden": self.hidden}

    @property
    def biases(self) -> tuple[nn.Parameter, ...]:
        return (self.output.bias,)

    def forward(self, vectors_BV: Float[Tensor, "B V"]) -> Float[Tensor, "B C"]:
        return self.output(nn.functional.gelu(self.dense(vectors_BV)))


class PerTokenHead(Head):
    """`per_token`: a class token a class, logit c = w_c . z_c + b_c; the vector is the C states z_c one after another.

    V + C parameters. Each token has weights of its own, so that nothing but its label makes it what it is (after
    MCTformer, Xu et al. 2022, whose logit is the mean over the channels of z_c: w_c = 1 / D, b_c = 0).
    """

    kind = "per_token"

    def __init__(self, size: int, classes: int, *, seed: int = 0) -> None:
        super().__init__(size, classes)
        if size % classes:
            raise OptionError(
                f"a per_token head has a class token for each of its {classes} classes, and {size} numbers are not "
                f"{classes} states; pool with {'+'.join(f'cls({c})' for c in range(min(classes, 3)))}..."
            )
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(classes, size // classes, generator=generator) * STD)
        self.bias = nn.Parameter(torch.zeros(classes))

    @property
    def biases(self) -> tuple[nn.Parameter, ...]:
        return (self.bias,)

    def forward(self, vectors_BV: Float[Tensor, "B V"]) -> Float[Tensor, "B C"]:
        return (vectors_BV.unflatten(1, self.weight.shape) * self.weight).sum(-1) + self.bias


class DistilledHead(Head):
    """`distilled`: the mean of two linear heads, on the class token and on the distillation token (DeiT).

    Reads `cls+dist`: the two states one after another. Training wants the logits apart: `both`.
    """

    kind = "distilled"

    def __init__(self, size: int, classes: int, *, seed: int = 0) -> None:
        super().__init__(size, classes)
        if size % 2:
            raise OptionError(f"a distilled head reads two states of equal length, not {size} numbers; pool cls+dist.")
        generator = torch.Generator().manual_seed(seed)
        self.output = _small(nn.Linear(size // 2, classes), generator)
        self.distillation = _small(nn.Linear(size // 2, classes), generator)

    @property
    def biases(self) -> tuple[nn.Parameter, ...]:
        return self.output.bias, self.distillation.bias

    def both(self, vectors_BV: Float[Tensor, "B V"]) -> tuple[Float[Tensor, "B C"], Float[Tensor, "B C"]]:
        """The class token's logits (learned from the label) and the distillation token's (from the teacher)."""
        own_BD, taught_BD = vectors_BV.chunk(2, dim=-1)
        return self.output(own_BD), self.distillation(taught_BD)

    def forward(self, vectors_BV: Float[Tensor, "B V"]) -> Float[Tensor, "B C"]:
        own_BC, taught_BC = self.both(vectors_BV)
        return (own_BC + taught_BC) / 2


HEADS: dict[str, Callable[..., Head]] = {
    kind.kind: kind for kind in (LinearHead, CosineHead, MlpHead, PerTokenHead, DistilledHead)
}


def make_head(kind: str, size: int, classes: int, *, hidden: int = 0, seed: int = 0) -> Head:
    """A new head by its name; `hidden` is for `mlp` alone. Raises `OptionError`."""
    if kind not in HEADS:
        raise OptionError(f"there is no head {kind!r}; write {', '.join(HEADS)}.")
    if kind == "mlp":
        return MlpHead(size, classes, hidden=hidden, seed=seed)
    if hidden:
        raise OptionError(f"a {kind} head has no hidden layer, and hidden is {hidden}; leave it out, or take mlp.")
    return HEADS[kind](size, classes, seed=seed)


def probabilities(logits_BC: Float[Tensor, "B C"], *, multilabel: bool, temperature: float = 1.0) -> Tensor:
    """softmax(logits / temperature) where one class is right; with `multilabel` a sigmoid for every label by itself.

    A single logit is a sigmoid too: a softmax over one class is 1 whatever the input. Computed and returned in float64,
    so that a change of a probability near 1 is not rounded away. The only place where logits become probabilities.
    """
    scaled_BC = logits_BC.double() / temperature
    return scaled_BC.sigmoid() if multilabel or logits_BC.shape[-1] == 1 else scaled_BC.softmax(-1)


def _small(linear: nn.Linear, generator: torch.Generator) -> nn.Linear:
    nn.init.normal_(linear.weight, std=STD, generator=generator)
    nn.init.zeros_(linear.bias)
    return linear
