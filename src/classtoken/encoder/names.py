"""Reversible renaming: one list of rules reads a published checkpoint and writes it back.

A rule pairs a name on disk with ours. `{i}` stands for a block's number and `{p}` for the last part (weight, bias);
both must appear on both sides. Several names on our side split the tensor on disk into equal parts along its rows (a
fused qkv). `dims` is the number of dimensions on disk where it differs from ours: leading ones are added or dropped.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from classtoken.errors import WeightsError

PLACES = {"i": r"(?P<i>\d+)", "p": r"(?P<p>weight|bias)"}


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    text = "".join(re.escape(part) if n % 2 == 0 else PLACES[part] for n, part in enumerate(parts))
    return re.compile(text)


@dataclass(frozen=True)
class Rename:
    """One rule: the name on disk, and ours (or several of ours, in the order in which they are fused)."""

    theirs: str
    ours: str | tuple[str, ...]
    dims: int | None = None
    transposed: bool = False
    """a matrix that is on the right of the vector on disk (open_clip's projections)"""
    beside: str | None = None
    """our name that must be there too for this rule to write (T5 calls `up` otherwise where there is a gate)"""

    @property
    def targets(self) -> tuple[str, ...]:
        """Our names, always as a tuple."""
        return (self.ours,) if isinstance(self.ours, str) else self.ours

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches names on disk."""
        return _pattern(self.theirs)

    @cached_property
    def inverse(self) -> tuple[re.Pattern[str], ...]:
        """Match our names."""
        return tuple(_pattern(target) for target in self.targets)


def blocks(prefix: str, pairs: Mapping[str, str | tuple[str, ...]]) -> tuple[Rename, ...]:
    """Rules for what stands in every block: `prefix` + their part -> `blocks.{i}.` + our part, `.{p}` at both ends."""

    def ours(part: str) -> str:
        return f"blocks.{{i}}.{part}.{{p}}"

    return tuple(
        Rename(f"{prefix}{theirs}.{{p}}", ours(part) if isinstance(part, str) else tuple(ours(x) for x in part))
        for theirs, part in pairs.items()
    )


def also(rules: Sequence[Rename], spelling: Mapping[str, str]) -> tuple[Rename, ...]:
    """The rules, and behind them those that change when parts of the names on disk are spelled in another way.

    transformers 5 calls modules otherwise than its files do: a file of a model's bare state, and an adapter, have the
    modules' names. Of a file's part and a longer one that holds it the longer must come first.
    """
    spelled = []
    for rule in rules:
        theirs = rule.theirs
        for part, other in spelling.items():
            theirs = theirs.replace(part, other)
        if theirs != rule.theirs:
            spelled.append(replace(rule, theirs=theirs))
    return (*rules, *spelled)


def meanings(name: str, rules: Sequence[Rename], prefixes: Iterable[str] = ()) -> frozenset[str]:
    """Our names for a name on disk, with or without one of the prefixes; empty where no rule takes it."""
    for prefix in ("", *prefixes):
        for rule in rules:
            found = rule.pattern.fullmatch(_spelled_anew(name.removeprefix(prefix)))
            if found is not None:
                return frozenset(target.format(**found.groupdict()) for target in rule.targets)
    return frozenset()


def to_ours(
    on_disk: Mapping[str, Tensor], rules: Sequence[Rename], ignored: Iterable[str] = ()
) -> tuple[dict[str, Tensor], list[str]]:
    """Rename a checkpoint. Returns our tensors, and the names that no rule takes and `ignored` (regexes) does not name.

    The first rule that matches wins. Shapes are made to fit later, by `fit`. Raises `WeightsError` for one weight that
    stands there under two names with different numbers: libraries disagree on which of them counts.
    """
    ours: dict[str, Tensor] = {}
    named: dict[str, str] = {}
    unknown = []
    passed_over = [re.compile(pattern) for pattern in ignored]
    for name, tensor in on_disk.items():
        for rule in rules:
            found = rule.pattern.fullmatch(_spelled_anew(name))
            if found is None:
                continue
            tensor = tensor.mT if rule.transposed else tensor
            pieces = tensor.chunk(len(rule.targets)) if len(rule.targets) > 1 else (tensor,)
            for target, piece in zip(rule.targets, pieces, strict=True):
                own = target.format(**found.groupdict())
                if own in ours and not torch.equal(ours[own], piece):
                    raise WeightsError(
                        f"the weights hold one tensor under two names with different numbers: {named[own]} and {name}. "
                        "Nobody can say which was trained: take the other one out of the file."
                    )
                ours[own], named[own] = piece, name
            break
        else:
            if not any(pattern.fullmatch(name) for pattern in passed_over):
                unknown.append(name)
    return ours, unknown


def _spelled_anew(name: str) -> str:
    """Norms of files converted from TensorFlow (`bert-base-uncased`) have gamma and beta, as in transformers."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def to_theirs(ours: Mapping[str, Tensor], rules: Sequence[Rename]) -> tuple[dict[str, Tensor], list[str]]:
    """Rename back: the names and shapes of the reference's file. Returns also our names that no rule takes.

    Of several rules for one of our names (an old and a new spelling on disk) the first writes.
    """
    theirs: dict[str, Tensor] = {}
    taken: set[str] = set()
    for name in ours:
        if name in taken:
            continue
        for rule in rules:
            found = next((match for pattern in rule.inverse if (match := pattern.fullmatch(name))), None)
            if found is None:
                continue
            names = [target.format(**found.groupdict()) for target in rule.targets]
            needed = [*names, *([rule.beside.format(**found.groupdict())] if rule.beside else [])]
            if any(n not in ours for n in needed):
                continue
            taken.update(names)
            tensor = torch.cat([ours[n] for n in names]) if len(names) > 1 else ours[name]
            tensor = tensor.mT if rule.transposed else tensor
            theirs[rule.theirs.format(**found.groupdict())] = _with_dims(tensor, rule.dims)
            break
    return theirs, [name for name in ours if name not in taken]


def fit(tensor: Tensor, shape: torch.Size) -> Tensor | None:
    """The tensor in our shape when they differ only by dimensions of size one; None when it cannot be made to fit."""
    if tensor.shape == shape:
        return tensor
    if [n for n in tensor.shape if n != 1] == [n for n in shape if n != 1]:
        return tensor.reshape(shape)
    return None


def _with_dims(tensor: Tensor, dims: int | None) -> Tensor:
    while dims is not None and tensor.dim() < dims:
        tensor = tensor[None]
    return tensor[0] if dims is not None and tensor.dim() > dims else tensor
