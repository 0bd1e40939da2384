"""The vectors that a model gives when it is read in every way in which others are known to read it."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from classtoken.embedder import Embedder, Tower
from classtoken.errors import ContractError, EmptyRow, SpecError
from classtoken.pooling.spec import parse
from classtoken.readout.after import in_words
from classtoken.readout.readout import Readout
from classtoken.tensors import States
from classtoken.tokens.text import TextPreprocessor, TextRow
from classtoken.values import Role

#: Poolings that runtimes put in the place of the right one.
POOLINGS = ("cls", "mean", "last", "max", "pooler")
WORDS_ALONE = "mean of word pieces alone"
#: Prompts that services put before texts of their own accord, after models that want them.
KNOWN_PROMPTS = (
    "query: ",
    "passage: ",
    "search_query: ",
    "search_document: ",
    "clustering: ",
    "classification: ",
    "Represent this sentence for searching relevant passages: ",
    "Represent this sentence: ",
)
#: What is left out of a text's special tokens -> the roles that are.
SPECIAL = {"none": frozenset[Role](), "end": frozenset({Role.END}), "all": frozenset({Role.END, Role.CLASS})}
#: Rows of a batch.
ROWS = 16


@dataclass(frozen=True)
class Hypothesis:
    """One way to read a model: pooling and layer (`@6`; empty: the last, normed), how many of the steps behind the
    pooling, the text before every text, and the special tokens that are left out (a name of `SPECIAL`)."""

    pooling: str
    layer: str
    steps: int
    prompt: str
    without: str = "none"

    def differs_by(self, meant: "Hypothesis") -> tuple[str, ...]:
        """The axes on which this is not what is meant."""
        pairs = (
            ("pooling", self.pooling, meant.pooling),
            ("prompt", self.prompt, meant.prompt),
            ("end_token", self.without, meant.without),
            ("layer", self.layer, meant.layer),
            ("dense", self.steps, meant.steps),
        )
        return tuple(word for word, here, there in pairs if here != there)

    def words(self, steps: Sequence[str]) -> str:
        """As a person reads it; `steps` are all that may follow the pooling."""
        said = [f"{self.pooling}{self.layer}", *steps[: self.steps]]
        if len(steps) > self.steps:
            said.append(f"without {', '.join(steps[self.steps :])}")
        said.append(f"the prompt {self.prompt!r}" if self.prompt else "no prompt")
        if self.without != "none":
            said.append("no end token" if self.without == "end" else "no special tokens")
        return ", ".join(said)


@dataclass(frozen=True)
class Limit:
    """How long texts are cut: to `tokens` (None: not at all), the end token kept or lost with the rest."""

    tokens: int | None
    end_kept: bool = True

    def __str__(self) -> str:
        length = "not cut" if self.tokens is None else f"cut at {self.tokens} tokens"
        return length if self.end_kept else f"{length}, the end token lost"


class TextReader:
    """One text side of a model, read in many ways."""

    def __init__(self, embedder: Embedder, *, prompt: str | None):
        self.tower: Tower = embedder.tower("text")
        self.device, self.dtype = embedder.device, embedder.dtype
        assert isinstance(self.tower.prepare, TextPreprocessor)
        self.prepare = self.tower.prepare
        self.reading = self.tower.reading
        (contract,) = embedder.tower("text").readouts(embedder.spec.pooling, embedder.spec.normalize).values()
        self.contract: Readout = contract
        self.unit_length = contract.unit_length
        spec = contract.spec
        alone = len(spec.terms) == 1 and spec.terms[0].layer is not None
        layer = str(spec)[str(spec).index("@") :] if alone else ""
        before = self.prepare.prompt_text(prompt)
        self.meant = Hypothesis(str(spec).removesuffix(layer), layer, len(contract.after), before)
        self.limit = Limit(self.prepare.recipe.max_length)

    @property
    def steps(self) -> tuple[str, ...]:
        """What follows the pooling, in words."""
        return tuple(in_words(step) for step in self.contract.after)

    def contract_size(self) -> int:
        """Numbers in the vector that is meant."""
        return self.tower.size_of(self.contract)

    @property
    def prompts(self) -> tuple[str, ...]:
        """Texts that may stand before every text: the one that is meant, none, and every other of the model's."""
        return tuple(dict.fromkeys([self.meant.prompt, "", *self.prepare.recipe.prompts.values()]))

    def every(self, texts: Sequence[str], prompts: Sequence[str]) -> Iterator[tuple[Hypothesis, np.ndarray]]:
        """Every hypothesis with one of these prompts, and its vectors of these texts, (texts, size), before unit
        length."""
        for prompt in prompts:
            whole = self.prepare.encode(texts, prompt=prompt)
            for without, roles in SPECIAL.items():
                rows = [_without(row, roles) for row in whole]
                if any(len(row) == 0 for row in rows) or (without != "none" and _same(rows, whole)):
                    continue
                blocks = [self._all(rows[at : at + ROWS], prompt) for at in range(0, len(rows), ROWS)]
                for name in blocks[0]:
                    if all(name in block for block in blocks):
                        made = Hypothesis(*name, prompt, without)
                        yield made, np.concatenate([block[name] for block in blocks])

    def cut(self, texts: Sequence[str], chosen: Hypothesis, limits: Sequence[Limit]) -> Iterator[np.ndarray]:
        """For each limit, the vectors of these texts read as `chosen`; what is the same row is computed once."""
        known: dict[tuple[int, ...], np.ndarray] = {}
        prepare = copy.copy(self.prepare)
        prepare.recipe = replace(prepare.recipe, max_length=None, pad_to=None)
        whole = prepare.encode(texts, prompt=chosen.prompt)
        for limit in limits:
            prepare.recipe = replace(prepare.recipe, max_length=limit.tokens)
            kept = (
                prepare.encode(texts, prompt=chosen.prompt)
                if limit.end_kept
                else [TextRow(row.ids[: limit.tokens], row.roles[: limit.tokens]) for row in whole]
            )
            found = []
            for row in (_without(row, SPECIAL[chosen.without]) for row in kept):
                ids = tuple(row.ids.tolist())
                if ids not in known:
                    made = self._all([row], chosen.prompt)
                    known[ids] = made[chosen.pooling, chosen.layer, chosen.steps][0]
                found.append(known[ids])
            yield np.stack(found)

    def _all(self, rows: Sequence[TextRow], prompt: str) -> dict[tuple[str, str, int], np.ndarray]:
        """Every pooling, layer and number of steps, of one batch."""
        encoder = self.reading.encoder
        with torch.inference_mode():
            tokens = self.prepare.collate(rows).to(self.device, self.dtype)
            states = self._float(encoder(tokens, layers=["embeddings", *range(encoder.depth)]))
            over = self.prepare.pooled_roles(prompt)
            found: dict[tuple[str, str, int], np.ndarray] = {}
            for name, layer in self._names():
                pooled = self._pooled(name, layer, states, over)
                if pooled is None:
                    continue
                for steps in range(len(self.contract.after) + 1):
                    found[name, layer, steps] = pooled.float().cpu().numpy()
                    if steps < len(self.contract.after):
                        step = self.contract.after[steps]
                        inner = getattr(getattr(step, "linear", None), "in_features", pooled.shape[-1])
                        if inner != pooled.shape[-1]:
                            break
                        pooled = step(pooled)
            return found

    def _names(self) -> Iterator[tuple[str, str]]:
        yield self.meant.pooling, self.meant.layer
        single = [name for name in dict.fromkeys((self.meant.pooling, *POOLINGS)) if "+" not in name]
        for name in (*single, WORDS_ALONE):
            if (name, "") != (self.meant.pooling, self.meant.layer):
                yield name, ""
        depth, normed = self.reading.encoder.depth, _has_norm(self.reading.encoder)
        for name in single:
            for block in range(depth + 1) if name != "pooler" else ():
                for end in ("", "n") if normed else ("",):
                    layer = f"@{block}{end}"
                    last = block == depth and (end or not normed)
                    if not last and (name, layer) != (self.meant.pooling, self.meant.layer):
                        yield name, layer

    def _pooled(self, name: str, layer: str, states: States, over: frozenset[Role] | None) -> Tensor | None:
        """The pooled states; None where this model has no such vector."""
        try:
            if (name, layer) == (self.meant.pooling, self.meant.layer):
                parts = [self.contract.term(n, states, over) for n in range(len(self.contract.spec.terms))]
                return torch.cat(parts, dim=-1)
            if name == WORDS_ALONE:
                return self.reading.readout(parse("mean"))(states, over=frozenset({Role.CONTENT, Role.PROMPT}))
            return self.reading.readout(parse(f"{name}{layer}"))(states, over=over)
        except (ContractError, EmptyRow, SpecError):
            return None

    def _float(self, states: States) -> States:
        layers = {name: value.float() for name, value in states.layers.items()}
        return replace(states, last_BLD=states.last_BLD.float(), layers=layers)


def _without(row: TextRow, roles: frozenset[Role]) -> TextRow:
    """A row without the tokens of some roles."""
    if not roles:
        return row
    kept = ~np.isin(row.roles, [int(role) for role in roles])
    return TextRow(row.ids[kept], row.roles[kept], row.cut)


def _same(rows: Sequence[TextRow], others: Sequence[TextRow]) -> bool:
    return all(len(row) == len(other) for row, other in zip(rows, others, strict=True))


def _has_norm(encoder: object) -> bool:
    """Whether the states of the last layer are not yet those that are read."""
    norm = getattr(encoder, "final_norm", None)
    return norm is not None and not isinstance(norm, torch.nn.Identity)


__all__ = ["SPECIAL", "Hypothesis", "Limit", "TextReader"]
