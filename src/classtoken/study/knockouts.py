"""Knock-outs: something is taken away, the model is run on, and other things of the same kind are taken away as well.

The one implementation, for `explain`, the walkthrough and surveys. `study.cuts` says what can be taken away,
`study.control` which others it is held against.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from classtoken.activity import activity, did, work
from classtoken.errors import OptionError
from classtoken.probe.capture import Chain
from classtoken.probe.interventions import CutEdges, Donor, Mode, as_mode, cut_heads, cut_layers, cut_tokens
from classtoken.probe.removal import masks, remove
from classtoken.probe.traced import Traced, content_of
from classtoken.results.explain import KnockOut
from classtoken.study.control import Controls, controls_for, judged_together, values_of
from classtoken.study.cuts import Cut
from classtoken.study.describing import direct_weights
from classtoken.tensors import Trace

AT_ONCE = 8
"""inputs that run together"""
REMOVED = "removed"
PARTS = {"attention": ("attention",), "feedforward": ("feedforward",), "layers": ("attention", "feedforward")}
ALL = "all"


def modes_of(mode: str | None, donors: Sequence[object]) -> tuple[Mode, ...]:
    """The modes that are asked for; `all`: those that can be had (mean and resample need donors)."""
    if mode is None:
        raise OptionError(
            f"a cut needs a mode, what stands in the place of what is taken away: {', '.join(Mode)}, or {ALL} of them."
        )
    if mode != ALL:
        return (as_mode(mode),)
    return tuple(m for m in Mode if donors or m in (Mode.RENORMALISE, Mode.ZERO))


@dataclass(frozen=True)
class Bench:
    """One traced input on which things are cut, the answer that is followed, and other traced inputs whose values may
    stand in (mean and resample)."""

    traced: Traced
    target: int
    donors: tuple[Traced, ...] = ()
    seed: int = 0

    @property
    def before(self) -> float:
        """The target's answer with nothing cut."""
        return float(self.traced.answers_BC[0, self.target])

    def answers(self, cuts: Sequence[Cut], mode: Mode) -> Tensor:
        """All answers (cuts, C) without each of several cuts that differ in what they cut, not in how."""
        return self.traced.subject.answers(self._outcomes(cuts, mode))

    def knock_out(self, cut: Cut, mode: Mode, *, tests: int = 1) -> KnockOut:
        """The target without it, and without other things of the same kind and number.

        tests: knock-outs that are shown together (`judged_together` corrects for them).
        """

        def run(cuts: Sequence[Cut]) -> list[float]:
            return [float(v) for v in self._target(cuts, mode)]

        before, after = self.before, run([cut])[0]
        controls = self.controls(cut, tests)
        null = values_of(controls, lambda sets: run([with_things(cut, s) for s in sets]), before=before, after=after)
        said = REMOVED if cut.kind == REMOVED else mode.value
        return KnockOut(cut.what, said, tuple(sorted(cut.keys)), before, after, null, controls.possible)

    def several(self, pairs: Sequence[tuple[Cut, Mode]]) -> tuple[KnockOut, ...]:
        """Knock-outs that are shown together."""
        found = []
        with work(len(pairs)):
            for cut, mode in pairs:
                found.append(self.knock_out(cut, mode, tests=len(pairs)))
                did()
        return judged_together(found)

    def controls(self, cut: Cut, tests: int) -> Controls:
        """Cuts of the same kind and size: other heads or layers, other patches or word pieces."""
        depth, heads = self.traced.depth, self.traced.subject.heads
        if cut.kind in ("tokens", "edges", REMOVED):
            return controls_for(content_of(self.traced.tokens), cut.keys, tests=tests, seed=self.seed)
        if cut.kind == "heads":
            pairs = [(i, h) for i in range(depth) for h in range(heads)]
            return controls_for(pairs, cut.heads, tests=tests, seed=self.seed)
        assert cut.layers is not None
        return controls_for(range(depth), cut.layers, tests=tests, seed=self.seed)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _target(self, cuts: Sequence[Cut], mode: Mode) -> Tensor:
        """The target's answer; of several donors to resample from, the mean of what each gives."""
        if mode == Mode.RESAMPLE and cuts[0].kind != REMOVED:
            alone = [replace(self, donors=(donor,)) for donor in self._fitting(mode)]
            return torch.stack([bench.answers(cuts, mode)[:, self.target] for bench in alone]).mean(0)
        return self.answers(cuts, mode)[:, self.target]

    def _outcomes(self, cuts: Sequence[Cut], mode: Mode) -> Tensor:
        kind, first = cuts[0].kind, min(first_layer(cut) for cut in cuts)
        if kind == REMOVED:
            gone = masks([cut.keys for cut in cuts], self.traced.roles_BL)
            return torch.cat([remove(self.traced, part) for part in gone.split(AT_ONCE)])
        donor = self._donor(cuts, mode) if mode in (Mode.MEAN, Mode.RESAMPLE) else None
        if kind in ("tokens", "edges"):
            gone = masks([cut.keys for cut in cuts], self.traced.roles_BL)
            edits = [self._edges(part, cuts[0], mode, donor) for part in gone.split(AT_ONCE)]
            return torch.cat([self.traced.after(e, rows=len(e.edges_BLL), first=first) for e in edits])
        return torch.cat([self.traced.after(_parts(cut, mode, donor), first=first_layer(cut)) for cut in cuts])

    def _edges(self, keys_BL: Tensor, cut: Cut, mode: Mode, donor: Donor | None) -> CutEdges:
        heads = [head for _, head in cut.heads] or None
        if cut.readers is None:
            return cut_tokens(keys_BL, mode, layers=cut.layers, heads=heads, donor=donor)
        readers = torch.zeros_like(keys_BL[0])
        readers[list(cut.readers)] = True
        edges = readers[None, :, None] & keys_BL[:, None, :]
        layers = None if cut.layers is None else frozenset(cut.layers)
        return CutEdges(mode, layers, donor, edges_BLL=edges, heads=None if heads is None else frozenset(heads))

    def _donor(self, cuts: Sequence[Cut], mode: Mode) -> Donor:
        """Values of the other inputs, row by row."""
        kind = cuts[0].kind
        parts = {"tokens": ("weights",), "edges": ("weights",), "heads": ("heads",)}.get(kind) or PARTS[kind]
        names = [f"blocks.{i}.{part}" for i in range(self.traced.depth) for part in parts]
        kept = [donor.donor(names) for donor in self._fitting(mode)]
        return {name: torch.cat([values[name] for values in kept]) for name in names}

    def _fitting(self, mode: Mode) -> tuple[Traced, ...]:
        if not self.donors:
            raise OptionError(f"mode '{mode.value}' puts in what other inputs have; name one or more donors.")
        longest = self.traced.roles_BL.shape[1]
        if any(donor.roles_BL.shape[1] != longest for donor in self.donors):
            lengths = ", ".join(str(donor.roles_BL.shape[1]) for donor in self.donors)
            raise OptionError(
                f"mode '{mode.value}' needs donors with as many tokens as the input, {longest}, not {lengths}; give "
                "others, or take renormalise or zero."
            )
        return self.donors


def with_things(cut: Cut, things: tuple) -> Cut:
    """The same kind of cut of other things."""
    if cut.kind in ("tokens", "edges", REMOVED):
        return replace(cut, keys=things)
    return replace(cut, heads=things) if cut.kind == "heads" else replace(cut, layers=things)


def first_layer(cut: Cut) -> int:
    """The first layer in which a cut changes anything."""
    if cut.kind == "heads":
        return min(layer for layer, _ in cut.heads)
    return 0 if cut.layers is None else min(cut.layers)


def _parts(cut: Cut, mode: Mode, donor: Donor | None) -> Trace:
    if cut.kind == "heads":
        layers = sorted({layer for layer, _ in cut.heads})
        return Chain(
            *(cut_heads([h for i, h in cut.heads if i == layer], layer, mode, donor=donor) for layer in layers)
        )
    return cut_layers(cut.layers or (), mode, parts=PARTS[cut.kind], donor=donor)


def tenth(weights_L: Tensor, content: Sequence[int]) -> tuple[int, ...]:
    """The tenth of the patches or word pieces with most weight, at least one; nothing where that leaves too few."""
    count = max(1, round(len(content) / 10))
    if len(content) < 2 * count + 1:
        return ()
    places = torch.tensor(content, device=weights_L.device)
    order = torch.argsort(weights_L[places], descending=True, stable=True)[:count]
    return tuple(sorted(places[order].tolist()))


def most_attended(traced: Traced) -> list[Cut]:
    """The tenth of the patches or word pieces with most attention over all layers and heads: hidden from the read-out
    token, and from all."""
    top = tenth(direct_weights(traced)[0], content_of(traced.tokens))
    if not top:
        return []
    those = "the token" if len(top) == 1 else f"the {len(top)} tokens"
    cuts = [Cut("tokens", f"nobody may read {those} with most attention", top)]
    if traced.one_reader:
        readers = tuple(traced.reader_BL[0].nonzero()[:, 0].tolist())
        cuts.insert(0, Cut("edges", f"the read-out token is kept from {those} with most attention", top, readers))
    return cuts


def most_attended_in(traced: Traced, reader: int, layer: int, head: int | None = None) -> Cut | None:
    """One token is kept, in one layer (and head), from the tenth of the content that it attends to most there."""
    weights_HL = traced.part("weights")[layer][0, :, reader]
    top = tenth(weights_HL.mean(0) if head is None else weights_HL[head], content_of(traced.tokens))
    if not top:
        return None
    where = f"layer {layer}" if head is None else f"layer {layer}, head {head}"
    heads = () if head is None else ((layer, head),)
    return Cut("edges", f"most attended in {where}", top, (reader,), heads, (layer,))


@dataclass(frozen=True)
class LayerKnockOut:
    """A knock-out of one layer (and head); `others`: the sets that were cut in its place, one for each value of
    `found.null`."""

    layer: int
    head: int | None
    found: KnockOut
    others: tuple[tuple[int, ...], ...] = ()


def by_layer(traced: Traced, position: int, target: int, *, heads: bool, seed: int = 0) -> list[LayerKnockOut]:
    """The token at `position` is cut off, layer by layer, from the tenth of the content that it attends to most there;
    with `heads` in single heads too. Layers are corrected for each other, and so are heads."""
    bench, depth = Bench(traced, target, seed=seed), range(traced.depth)
    whole: list[tuple[int, int | None]] = [(layer, None) for layer in depth]
    single: list[tuple[int, int | None]] = [(layer, head) for layer in depth for head in range(traced.subject.heads)]
    found = []
    for places in (whole, single) if heads else (whole,):
        cuts = [(layer, head, most_attended_in(traced, position, layer, head)) for layer, head in places]
        there = [(layer, head, cut) for layer, head, cut in cuts if cut is not None]
        results = bench.several([(cut, Mode.RENORMALISE) for _, _, cut in there])
        for (layer, head, cut), k in zip(there, results, strict=True):
            others = bench.controls(cut, len(there)).sets[: len(k.null)]
            found.append(LayerKnockOut(layer, head, k, others))
    return sorted(found, key=lambda k: (k.layer, -1 if k.head is None else k.head))


def single_removals(traced: Traced) -> tuple[tuple[int, ...], Tensor]:
    """Content tokens, and the answers (tokens, C) without each of them; nothing where only one is left to read."""
    content = tuple(content_of(traced.tokens))
    if len(content) < 2:
        return (), traced.answers_BC[:0]
    bench, found = Bench(traced, 0), []
    with work(len(content)):
        for start in range(0, len(content), AT_ONCE):
            cuts = [Cut(REMOVED, "", keys=(place,)) for place in content[start : start + AT_ONCE]]
            found.append(bench.answers(cuts, Mode.RENORMALISE))
            did(len(cuts))
    return content, torch.cat(found)


@activity("every head without its output")
def head_effects(traced: Traced, target: int) -> tuple[tuple[float, ...], ...]:
    """What the target loses when one head's output is zero, per layer and head."""
    if "heads" in traced.subject.encoder.gaps:
        return ()
    bench = Bench(traced, target)
    pairs = [[Cut("heads", "", heads=((i, h),)) for h in range(traced.subject.heads)] for i in range(traced.depth)]
    return tuple(tuple(bench.before - float(v) for v in bench.answers(cuts, Mode.ZERO)[:, target]) for cuts in pairs)
