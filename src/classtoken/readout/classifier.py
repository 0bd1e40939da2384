"""A checkpoint's classifier: a readout and the head on top of it."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from classtoken.encoder.families.row import HeadRow
from classtoken.encoder.names import to_ours
from classtoken.errors import ContractError
from classtoken.head import probabilities
from classtoken.readout.readout import Readout
from classtoken.readout.typical import Typical
from classtoken.tensors import ACTIVATIONS, States
from classtoken.values import Role


def in_words(row: HeadRow, reads: str) -> str:
    """A published classifier as a formula; x is the vector that `reads` names."""
    if not row.linear and any("distillation" in target for rule in row.names for target in rule.targets):
        return f"the mean of W x + b on each half of x = `{reads}`"
    if row.linear:
        return f"W x + b, x = `{reads}`"
    return f"W2 {'norm ' if row.norm else ''}{row.activation}(W1 x + b1) + b2, x = `{reads}`"


class PublishedHead(nn.Module):
    """The head of a published checkpoint: linear, or dense - activation - (norm) - linear; DeiT's is a pair."""

    def __init__(self, row: HeadRow, weights: Mapping[str, Tensor], norm_eps: float):
        super().__init__()
        ours, _ = to_ours(weights, row.names)
        self.activation = ACTIVATIONS[row.activation]
        self.dense = _linear(ours, "dense") if "dense.weight" in ours else None
        self.norm = None
        if "norm.weight" in ours:
            self.norm = nn.LayerNorm(len(ours["norm.weight"]), eps=norm_eps, bias="norm.bias" in ours)
            self.norm.load_state_dict({k.removeprefix("norm."): v for k, v in ours.items() if k.startswith("norm.")})
        self.output = _linear(ours, "output")
        self.distillation = _linear(ours, "distillation") if "distillation.weight" in ours else None

    def forward(self, vector_BD: Float[Tensor, "B d"]) -> Float[Tensor, "B C"]:
        """Logits. DeiT: the mean of the class token's and the distillation token's (Touvron et al. 2021)."""
        if self.distillation is not None:
            first, second = vector_BD.chunk(2, dim=-1)
            return (self.output(first) + self.distillation(second)) / 2
        if self.dense is not None:
            vector_BD = self.activation(self.dense(vector_BD))
        if self.norm is not None:
            vector_BD = self.norm(vector_BD)
        return self.output(vector_BD)


class Classifier(nn.Module):
    """States -> logits. `labels` names the classes in order; `temperature` divides the logits where it was fitted;
    `multilabel` means one sigmoid a label instead of one softmax, `regression` that there are no probabilities;
    `label_names` maps what labels were called in the data that was learned from to `labels`, where those differ;
    `typical` says how typical a vector is of the labels, where that was kept."""

    def __init__(self, readout: Readout, head: nn.Module, labels: tuple[str, ...]):
        super().__init__()
        self.readout, self.head, self.labels = readout, head, labels
        self.temperature, self.multilabel, self.regression = 1.0, False, False
        self.label_names: Mapping[str, str] = {}
        self.typical: Typical | None = None

    def forward(self, states: States, *, over: frozenset[Role] | None = None) -> Float[Tensor, "B C"]:
        """Logits, float32; `over` are the roles that are pooled, the readout's own if left out."""
        return self.head(self.readout(states, over=over)).float()

    def answers(self, states: States, *, over: frozenset[Role] | None = None) -> tuple[Tensor, Tensor | None]:
        """Calibrated probabilities (B, C), float64, and how typical each row is of the labels (B,), where that is
        known."""
        vectors_BV = self.readout(states, over=over)
        typical_B = None if self.typical is None else self.typical(vectors_BV)
        return self.probabilities(self.head(vectors_BV).float()), typical_B

    def probabilities(self, logits_BC: Float[Tensor, "B C"]) -> Tensor:
        """Calibrated probabilities of logits (`head.probabilities`), float64.

        Raises `ContractError` for a regression, whose outputs are the numbers themselves.
        """
        if self.regression:
            raise ContractError(
                "this model's problem_type is 'regression': its outputs are numbers and no probabilities. Take them "
                "from logits(...)."
            )
        return probabilities(logits_BC, multilabel=self.multilabel, temperature=float(self.temperature))


def _linear(weights: Mapping[str, Tensor], name: str) -> nn.Linear:
    weight, bias = weights[f"{name}.weight"], weights.get(f"{name}.bias")
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    linear.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
    return linear
