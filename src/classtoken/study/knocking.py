"""Knock-outs of one input beside as many random ones of equal size, and states of another input put in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from classtoken.errors import OptionError
from classtoken.maps.rollout import read_rows
from classtoken.probe.capture import Chain, capture
from classtoken.probe.interventions import (
    CutEdges,
    Donor,
    Mode,
    as_mode,
    before_layer,
    cut_heads,
    cut_layers,
    cut_tokens,
    record,
)
from classtoken.probe.removal import remove
from classtoken.probe.run_on import resume
from classtoken.probe.subject import Subject
from classtoken.probe.traced import repeat
from classtoken.results.explain import KnockOut, SwapStep
from classtoken.study.control import Controls, controls_for, judged_together, values_of
from classtoken.study.cuts import Cut
from classtoken.tensors import Tokens, Trace
from classtoken.values import Role

AT_ONCE = 8
REMOVED = "removed"
PARTS = {"attention": ("attention",), "feedforward": ("feedforward",), "layers": ("attention", "feedforward")}
ALL = "all"


def modes_of(mode: str | None, donors: Sequence[Tokens]) -> tuple[Mode, ...]:
    """The modes that are asked for; `all`: those that can be had (mean and resample need donors)."""
    if mode is None:
        raise OptionError(
            f"a cut needs a mode, what stands in the place of what is taken away: {', '.join(Mode)}, or {ALL} of them."
        )
    if mode != ALL:
        return (as_mode(mode),)
    return tuple(m for m in Mode if donors or m in (Mode.RENORMALISE, Mode.ZERO))


@dataclass(frozen=True)
class Knocker:
    """One input, the class that is explained, and other inputs whose values may stand in (mean and resample)."""

    subject: Subject
    tokens: Tokens
    target: int
    donors: tuple[Tokens, ...] = ()
    seed: int = 0

    def knock(self, cut: Cut, mode: Mode, tests: int = 1) -> KnockOut:
        """The target without it, and without other things of the same kind and number.

        tests: knock-outs that are shown together.
        """
        before = self._probabilities(self.tokens, None)[0]

        def run(cuts: Sequence[Cut]) -> list[float]:
            if cut.kind == REMOVED:
                return [v for part in self._masks(cuts).split(AT_ONCE) for v in self._removed(part)]
            donors: tuple[Donor | None, ...] = (None,)
            if mode in (Mode.MEAN, Mode.RESAMPLE):
                donors = self._donors(cut, mode)
            runs = [self._after(cuts, mode, donor) for donor in donors]
            return [sum(column) / len(runs) for column in zip(*runs, strict=True)]

        after = run([cut])[0]
        controls = self.controls(cut, tests)
        null = values_of(controls, lambda sets: run([self._with(cut, s) for s in sets]), before=before, after=after)
        said = REMOVED if cut.kind == REMOVED else mode.value
        return KnockOut(cut.what, said, tuple(sorted(cut.keys)), before, after, null, controls.possible)

    def controls(self, cut: Cut, tests: int) -> Controls:
        """Cuts of the same kind and size (`study.control`): other heads or layers, other patches or word pieces."""
        if cut.kind in ("tokens", "edges", REMOVED):
            content = (self.tokens.roles_BL[0] == Role.CONTENT).nonzero()[:, 0].tolist()
            return controls_for(content, cut.keys, tests=tests, seed=self.seed)
        if cut.kind == "heads":
            pairs = [(i, h) for i in range(self.subject.depth) for h in range(self.subject.heads)]
            return controls_for(pairs, cut.heads, tests=tests, seed=self.seed)
        assert cut.layers is not None
        return controls_for(range(self.subject.depth), cut.layers, tests=tests, seed=self.seed)

    @staticmethod
    def _with(cut: Cut, things: tuple) -> Cut:
        """The same kind of cut of other things."""
        if cut.kind in ("tokens", "edges", REMOVED):
            return replace(cut, keys=things)
        return replace(cut, heads=things) if cut.kind == "heads" else replace(cut, layers=things)

    def _masks(self, sets: Sequence[Cut]) -> Tensor:
        roles = self.tokens.roles_BL
        masks = torch.zeros(len(sets), roles.shape[1], dtype=torch.bool, device=roles.device)
        for row, cut in enumerate(sets):
            masks[row, list(cut.keys)] = True
        return masks

    def _after(self, sets: Sequence[Cut], mode: Mode, donor: Donor | None) -> list[float]:
        """The target's value with each of the cuts; cuts of edges go through the model together."""
        first = sets[0]
        if first.kind in ("tokens", "edges"):
            edits = [self._edges(part, first, mode, donor) for part in self._masks(sets).split(AT_ONCE)]
            return [v for edit in edits for v in self._probabilities(repeat(self.tokens, 0, len(edit.edges_BLL)), edit)]
        return [self._probabilities(self.tokens, self._parts(cut, mode, donor))[0] for cut in sets]

    def _edges(self, keys_BL: Tensor, cut: Cut, mode: Mode, donor: Donor | None) -> CutEdges:
        if cut.readers is None:
            return cut_tokens(keys_BL, mode, layers=cut.layers, donor=donor)
        readers = torch.zeros_like(keys_BL[0])
        readers[list(cut.readers)] = True
        layers = None if cut.layers is None else frozenset(cut.layers)
        return CutEdges(mode, layers, donor, edges_BLL=readers[None, :, None] & keys_BL[:, None, :])

    @staticmethod
    def _parts(cut: Cut, mode: Mode, donor: Donor | None) -> Trace:
        if cut.kind == "heads":
            layers = sorted({layer for layer, _ in cut.heads})
            return Chain(
                *(cut_heads([h for i, h in cut.heads if i == layer], layer, mode, donor=donor) for layer in layers)
            )
        return cut_layers(cut.layers or (), mode, parts=PARTS[cut.kind], donor=donor)

    def _donors(self, cut: Cut, mode: Mode) -> tuple[Donor, ...]:
        """Values of the other inputs: all of them for their mean, one after another for resampling."""
        if not self.donors:
            raise OptionError(f"mode '{mode.value}' puts in what other inputs have; name one or more with --donor.")
        longest = self.tokens.roles_BL.shape[1]
        if any(donor.roles_BL.shape[1] != longest for donor in self.donors):
            lengths = ", ".join(str(donor.roles_BL.shape[1]) for donor in self.donors)
            raise OptionError(
                f"mode '{mode.value}' needs donors with as many tokens as the input, {longest}, not {lengths}; give "
                "others, or take renormalise or zero."
            )
        parts = {"tokens": ("weights",), "edges": ("weights",), "heads": ("heads",)}.get(cut.kind) or PARTS[cut.kind]
        names = [f"blocks.{i}.{part}" for i in range(self.subject.depth) for part in parts]
        kept = [record(self.subject, donor, names) for donor in self.donors]
        if mode == Mode.RESAMPLE:
            return tuple(kept)
        return ({name: torch.cat([values[name] for values in kept]) for name in names},)

    def _removed(self, gone_BL: Tensor) -> list[float]:
        outcome = remove(self.subject, repeat(self.tokens, 0, len(gone_BL)), gone_BL)
        return [float(v) for v in self.subject.probability(outcome, self.target)]

    def _probabilities(self, tokens: Tokens, edit: Trace | None) -> list[float]:
        with torch.no_grad():
            return [float(v) for v in self.subject.probability(self.subject(tokens, edit), self.target)]

    def most_attended(self, modes: Sequence[Mode]) -> tuple[KnockOut, ...]:
        """The tenth of the patches or word pieces with most attention: hidden from the read-out token, from all."""
        content = (self.tokens.roles_BL[0] == Role.CONTENT).nonzero()[:, 0]
        count = max(1, len(content) // 10)
        if len(content) < 2 * count + 1:
            return ()
        reader = self.subject.reader(self.tokens.roles_BL)
        layers = capture(self.subject, self.tokens, ["weights"]).parts["weights"]
        mean = torch.stack([read_rows(w.mean(1), reader)[0] for w in layers]).mean(0)
        top = tuple(content[mean[content].argsort(descending=True)[:count]].tolist())
        those = "the token" if count == 1 else f"the {count} tokens"
        cuts = [Cut("tokens", f"nobody may read {those} with most attention", top)]
        if bool(reader.max() == 1):
            readers = tuple(reader[0].nonzero()[:, 0].tolist())
            cuts.insert(0, Cut("edges", f"the read-out token is kept from {those} with most attention", top, readers))
        pairs = [(cut, mode) for cut in cuts for mode in modes]
        return judged_together([self.knock(cut, mode, len(pairs)) for cut, mode in pairs])


def swaps(subject: Subject, tokens: Tokens, donor: Tokens, target: int) -> tuple[SwapStep, ...]:
    """The target when states of another input stand before layer l: of the class token, of the patches or word pieces
    and of what else both have equally many of. Nothing where the model shows no states."""
    if {"states", "embeddings"} & set(subject.encoder.gaps):
        return ()
    names = [before_layer(i, subject.depth) for i in range(subject.depth + 1)]
    own, theirs = (record(subject, t, names) for t in (tokens, donor))
    found = []
    for role in Role:
        here, there = ((t.roles_BL[0] == role).nonzero()[:, 0] for t in (tokens, donor))
        if role == Role.PAD or not len(here) or len(here) != len(there):
            continue
        for layer, name in enumerate(names):
            value = own[name].clone()
            value[0, here] = theirs[name][0, there]
            outcome = resume(subject, tokens, value, layer)
            best = int(outcome[0].argmax())
            found.append(
                SwapStep(
                    layer,
                    role.name,
                    float(subject.probability(outcome, target)),
                    subject.labels[best] if best < len(subject.labels) else str(best),
                    float(subject.probability(outcome, best)),
                )
            )
    return tuple(found)
