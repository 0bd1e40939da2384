"""What is compared: every candidate by its name, and how it is got out of one pass through its encoder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from classtoken.comparison.dense import patch_readouts
from classtoken.comparison.landmarks import landmark_side, named, without_landmarks
from classtoken.embedder import Embedder
from classtoken.embedder.tower import Tower
from classtoken.errors import ContractError, OptionError
from classtoken.options import CompareOptions
from classtoken.pooling.spec import Spec, parse_many
from classtoken.readout.readout import Readout, StatesReader
from classtoken.values import Role

#: What is compared where no pooling is named: whatever of these the model allows.
USUAL = ("cls", "mean", "max", "cls+mean", "gem")
OWN = "own"


@dataclass(frozen=True)
class Wanted:
    """A candidate that is read out of an encoder without training: `base` names the readout of the pass; `dim` and
    `whiten` are done to its vectors afterwards."""

    name: str
    base: str
    pooling: str | None
    dim: int | None = None
    whiten: bool = False
    role: str = "candidate"


@dataclass(frozen=True)
class AskedOfModel:
    """What is asked of one model: readouts for its pass by name, candidates, learned poolings, poolings by layer."""

    readouts: dict[str, StatesReader]
    fixed: tuple[Wanted, ...]
    learned: tuple[Spec, ...]
    layered: tuple[tuple[str, int, str], ...] = ()
    """pooling, layer (0: the embeddings), name of the readout"""
    fused: tuple[Spec, ...] = ()
    """learned poolings over the class token and mean of all layers"""
    landmarks: tuple[int, ...] = ()
    """tokens between landmarks, each a pass of its own"""

    def fixed_alone(self) -> "AskedOfModel":
        """What is read without training, on its usual layer."""
        bases = {one.base for one in self.fixed}
        readouts = {name: reader for name, reader in self.readouts.items() if name in bases}
        return AskedOfModel(readouts, self.fixed, (), landmarks=self.landmarks)


def asked_of(embedder: Embedder, side: str, options: CompareOptions) -> AskedOfModel:
    """The candidates of a model. Raises what readouts raise for a pooling that was named and cannot be given."""
    poolings, landmarks = options.pooling, tuple[int, ...]()
    tower = embedder.tower(side)
    if options.task == "dense":
        return _patches(tower, options)
    if poolings is not None:
        poolings, landmarks = without_landmarks(poolings)
    specs = _specs(embedder, side, poolings)
    fixed = [spec for spec in specs if not spec.learned]
    readouts: dict[str, StatesReader] = {}
    own = next(iter(tower.readouts(None).values())) if poolings is None else None
    if own is not None and not _is_plain(own, {str(spec) for spec in fixed}):
        readouts[OWN] = own
    for spec in fixed:
        readouts |= tower.readouts(str(spec))
    names = list(readouts)
    layered = list(_by_layer(tower, fixed)) if options.by_layer else []
    wanted = [Wanted(name, name, None if name == OWN else name) for name in names]
    for every in landmarks:
        landmark_side(tower, every)  # refuses what cannot have them before any work
        wanted.append(Wanted(named(every), named(every), None, role="probe"))
    plain = tuple(wanted)
    for dim in options.dim:
        wanted += [replace(one, name=f"{one.name} first {dim}", dim=dim) for one in plain]
    if options.whiten:
        wanted += [replace(one, name=f"{one.name} whitened", pooling=None, whiten=True) for one in plain]
    for _, _, name in layered:
        readouts |= tower.readouts(name)
    learned = tuple(spec for spec in specs if spec.learned)
    fused = tuple(spec for spec in learned if options.by_layer and spec.terms[0].name == "map" and len(spec.terms) == 1)
    return AskedOfModel(readouts, tuple(wanted), learned, tuple(layered), fused, landmarks)


def _patches(tower: Tower, options: CompareOptions) -> AskedOfModel:
    """Every patch by itself, for a dense task."""
    has_cls = tower.layout.count(Role.CLASS) > 0
    depth = tower.reading.encoder.depth
    named = patch_readouts(options.pooling, depth, by_layer=False, has_cls=has_cls)
    every = patch_readouts(options.pooling, depth, by_layer=options.by_layer, has_cls=has_cls)
    layered = tuple(("patches", layer, f"patches@{layer}") for layer in range(depth + 1)) if options.by_layer else ()
    return AskedOfModel(dict(every), tuple(Wanted(name, name, None) for name in named), (), layered)


def _by_layer(tower: Tower, fixed: Sequence[Spec]) -> Iterator[tuple[str, int, str]]:
    """Every pooling of one term after every block, the embeddings first."""
    for spec in fixed:
        if len(spec.terms) == 1 and spec.terms[0].layer is None and spec.terms[0].name != "pooler":
            for layer in range(tower.reading.encoder.depth + 1):
                yield str(spec), layer, f"{spec}@{layer}"


def _specs(embedder: Embedder, side: str, poolings: str | None) -> list[Spec]:
    """The poolings named, or those usual ones that the model allows."""
    if poolings is not None:
        return list(parse_many(poolings)) if poolings else []
    return list(_allowed(embedder, side))


def _allowed(embedder: Embedder, side: str) -> Iterator[Spec]:
    for name in USUAL:
        spec = parse_many(name)[0]
        try:
            embedder.tower(side).readouts(name)
        except ContractError:  # no class token, say
            continue
        yield spec


def _is_plain(own: Readout, named: set[str]) -> bool:
    """Whether the model's own vector is one of those named, up to its length: judged by cosine, it is no other."""
    return str(own.spec) in named and not own.after and not own.before


def refuse_repeated(names: Sequence[str]) -> None:
    """Raise `OptionError` where two candidates have one name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionError(f"two candidates are called '{twice[0]}'; name each model and folder once.")
