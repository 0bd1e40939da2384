"""Models and stored vectors -> candidates that have been judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classtoken.comparison.beside import LAYERS, LENGTHS, LayersReader, LengthReader, fused_layers
from classtoken.comparison.candidates import AskedOfModel, Wanted, asked_of, refuse_repeated
from classtoken.comparison.contest import Entrant, judged_or_fault
from classtoken.comparison.extract import Extracted, ModelSide, Stored, extract, stored
from classtoken.comparison.landmarks import LandmarkMean, landmark_side, named
from classtoken.comparison.learned import Learner, TokenSet, check_learnable, equal_control, judge_learned
from classtoken.comparison.task import JudgedTask
from classtoken.comparison.transform import shortened
from classtoken.embedder import Embedder, ModelSpec, load, with_prompt
from classtoken.options import CompareOptions
from classtoken.pooling.spec import parse
from classtoken.readout.readout import StatesReader
from classtoken.results.compare import Cost
from classtoken.values import Progress, Record, Rejected, Role

Report = Callable[[Progress], object] | None


@dataclass(frozen=True)
class Passed:
    """One model after its pass: what was asked of it and every vector that came out."""

    name: str
    model: ModelSide
    asked: AskedOfModel
    found: Extracted

    @property
    def encoder(self) -> Any:
        """The encoder of this side."""
        return self.model.embedder.tower(self.model.modality).reading.encoder


#: What of a `ModelSpec` tells two of one model apart: all that moves a vector.
TOLD = ("pooling", "normalize", "precision", "revision", "max_length", "route")


def short_name(model: Any) -> str:
    """What a model is called in a table: the last part of its path or id, and what it is asked for besides."""
    spec = model.spec if isinstance(model, Embedder) else model if isinstance(model, ModelSpec) else None
    given = str(spec.model if spec else model)
    short = given if given.startswith("builtin:") else given.rstrip("/").split("/")[-1]
    asked = asked_besides(spec, ModelSpec("")) if spec else ""
    return f"{short} ({asked})" if asked else short


def asked_besides(spec: ModelSpec, usual: ModelSpec) -> str:
    """In words what moves a vector and is not as usual."""
    return ", ".join(f"{name} {getattr(spec, name)}" for name in TOLD if getattr(spec, name) != getattr(usual, name))


def pass_through(models: Sequence[Any], task: JudgedTask, options: CompareOptions, report: Report) -> list[Passed]:
    """Every record once through every model."""
    names = [short_name(model) for model in models]
    refuse_repeated(names)
    passed = []
    for model, name in zip(models, names, strict=True):
        embedder = load(
            model,
            precision=options.precision,
            device=options.device,
            revision=options.revision,
            accept=options.accept,
        )
        side = embedder.modality_of(task.records[0], options.modality)
        embedder, prompt = with_prompt(embedder, side, options.prompt, options.prompt_text)
        one = ModelSide(embedder, side, prompt)
        asked = asked_of(embedder, side, options)
        passed.append(Passed(name, one, asked, read_all(one, asked, task.records, report)))
    return passed


def read_all(model: ModelSide, asked: AskedOfModel, records: Sequence[Record], report: Report = None) -> Extracted:
    """All vectors of a model and what is read beside them: one pass, and one more for every distance of landmarks."""
    tower, beside = model.embedder.tower(model.modality), dict[str, StatesReader]()
    if asked.learned or any(reader.rows is None for reader in asked.readouts.values()):  # all tokens are computed
        beside[LENGTHS] = LengthReader(tower.reading.encoder.depth)
    if asked.fused:
        beside[LAYERS] = LayersReader(tower)
    found = extract(model, records, asked.readouts, beside=beside, states=bool(asked.learned), report=report)
    for every in asked.landmarks:
        marked = replace(model, prepared=landmark_side(tower, every))
        more = extract(marked, records, {named(every): LandmarkMean(tower)}, report=report)
        found = replace(found, vectors={**found.vectors, **more.vectors}, bad={**more.bad, **found.bad})
    return found


def stored_vectors(options: CompareOptions, task: JudgedTask) -> dict[str, Stored]:
    """The stored candidates by name: of several folders, or beside a model, the place stands before. As those of a
    model they are shortened and whitened too, where that is asked for."""
    every: dict[str, Stored] = {}
    for place in options.vectors:
        stem = Path(place).stem
        found = {
            f"{stem}: {n}" if n != stem else n: a
            for n, a in stored(place, task.records, task.found_by, task.read).items()
        }
        refuse_repeated([*every, *found])
        every |= found
    plain = dict(every)
    for dim in options.dim:
        for name, one in plain.items():
            every[f"{name} first {dim}"] = replace(one, vectors=shortened(one.vectors, dim), dim=dim)
    if options.whiten:
        every |= {f"{name} whitened": replace(one, pooling=None, whiten=True) for name, one in plain.items()}
    return every


@dataclass(frozen=True)
class Kept:
    """The task without records that have no vector, and the rows of those that it keeps."""

    task: JudgedTask
    rows: NDArray[np.intp]


def kept(task: JudgedTask, passed: Sequence[Passed]) -> Kept:
    """What every candidate has a vector of: all are judged on the same items."""
    bad: dict[int, Rejected] = {}
    for one in passed:
        for row, why in one.found.bad.items():
            bad.setdefault(row, why)
    if not bad:
        return Kept(task, np.arange(len(task.records)))
    place = {id(record): row for row, record in enumerate(task.records)}
    left = task.without(bad)
    return Kept(left, np.array([place[id(record)] for record in left.records]))


def entrants_of(
    passed: Sequence[Passed], keeping: Kept, report: Report = None, *, several: bool
) -> tuple[list[Entrant], dict[str, str]]:
    """The fixed candidates of all models, judged; and those that cannot be, with the reason."""
    made: list[Entrant] = []
    left_out: dict[str, str] = {}
    total = sum(len(one.asked.fixed) for one in passed)
    for one in passed:
        prefix = f"{one.name}: " if several else ""
        for wanted in one.asked.fixed:
            judging(report, len(made) + len(left_out), total, "candidates")
            vectors = one.found.vectors[wanted.base][keeping.rows]
            entrant = _judged(prefix, one, wanted, vectors, keeping.task)
            if isinstance(entrant, str):
                left_out[f"{prefix}{wanted.name}"] = entrant
            else:
                made.append(entrant)
    return made, left_out


def _judged(prefix: str, one: Passed, wanted: Wanted, vectors: NDArray, task: JudgedTask) -> Entrant | str:
    vectors = vectors if wanted.dim is None else shortened(vectors, wanted.dim)
    judged = judged_or_fault(task, vectors, whiten=wanted.whiten)
    if isinstance(judged, str):
        return judged
    cost = cost_of(one, vectors.shape[1])
    return Entrant(prefix + wanted.name, one.name, wanted.pooling, judged, cost, wanted.role, vectors, dim=wanted.dim)


def cost_of(one: Passed, size: int, own_parameters: int = 0) -> Cost:
    """What vectors of this size of a model cost."""
    parameters = sum(p.numel() for p in one.encoder.parameters())
    milliseconds = 1000 * one.found.seconds / max(1, one.found.count)
    return Cost(size, 4 * size, parameters, own_parameters, milliseconds, flops_of(one))


def flops_of(one: Passed) -> float | None:
    """Multiplications and additions of the encoder's matrices for one item of usual length: 2 a parameter of its blocks
    and token, and 4 L D a token and block for attention. None where the shape is not known."""
    depth, size = getattr(one.encoder, "depth", None), getattr(one.encoder, "hidden_size", None)
    length = one.found.tokens
    blocks = sum(p.numel() for name, p in one.encoder.named_parameters() if "blocks." in name or "layer" in name)
    if not depth or not size or not blocks or not length:
        return None
    return float(2 * blocks * length + 4 * length * length * size * depth)


def learned_entrants(one: Passed, keeping: Kept, prefix: str, report: Report) -> list[Entrant]:
    """A model's learned poolings, and their controls: the mean with a linear head, and with a hidden layer of as many
    parameters as each pooling, both trained in the same way."""
    if not one.asked.learned:
        return []
    task = check_learnable(keeping.task, one.asked.learned)
    tokens, mean = tokens_of(one).some(keeping.rows), parse("mean")
    learners = {str(spec): Learner(spec) for spec in one.asked.learned}
    controls = {"mean, trained in the same way": Learner(mean)}
    for name, learner in learners.items():
        controls[f"mean, hidden layer as large as {name}"] = equal_control(learner, mean, tokens, task)
    pooled = tokens.pooled(mean)
    field = [(name, learner, tokens, "candidate") for name, learner in learners.items()]
    field += [(name, learner, pooled, "control") for name, learner in controls.items()]
    for spec in one.asked.fused:
        field.append((fused_layers(str(spec)), Learner(spec), layer_tokens(one, keeping), "probe"))
    made = []
    for name, learner, seen, role in field:
        judged = judge_learned(learner, seen, task, tell=_telling(report, name))
        cost = cost_of(one, learner.width(tokens), learner.parameters(seen, task))
        made.append(Entrant(prefix + name, one.name, name if role == "candidate" else None, judged, cost, role))
    return made


def layer_tokens(one: Passed, keeping: Kept) -> TokenSet:
    """Class token and mean of every layer as the tokens of a record."""
    states = one.found.beside[LAYERS][keeping.rows]
    content = frozenset({Role.CONTENT})
    return TokenSet(states, np.full(states.shape[:2], Role.CONTENT, np.int8), content, None, one.encoder)


def tokens_of(one: Passed) -> TokenSet:
    """The states of every token that a model's pass has kept."""
    assert one.found.states is not None
    assert one.found.roles is not None
    tower = one.model.embedder.tower(one.model.modality)
    over = tower.prepare.pooled_roles(one.model.prompt) or tower.reading.over
    return TokenSet(one.found.states, one.found.roles, over, tower.layout.grid, one.encoder)


def judging(report: Report, done: int, total: int, what: str) -> None:
    """Tell how many candidates or layers have been judged."""
    if report is not None:
        report(Progress(done, total, what=f"judging {what}"))


def _telling(report: Report, name: str) -> Callable[[str], object]:
    def tell(part: str) -> None:
        if report is not None:
            report(Progress(0, 0, what=f"training {name}, {part}"))

    return tell


def stored_entrants(found: Mapping[str, Stored], keeping: Kept) -> tuple[list[Entrant], dict[str, str]]:
    """Stored vectors as candidates."""
    made, left_out = [], {}
    for name, one in found.items():
        vectors = one.vectors[keeping.rows]
        judged = judged_or_fault(keeping.task, vectors, whiten=one.whiten)
        if isinstance(judged, str):
            left_out[name] = judged
        else:
            cost = Cost(vectors.shape[1], 4 * vectors.shape[1])
            made.append(Entrant(name, "", one.pooling, judged, cost, vectors=vectors, dim=one.dim))
    return made, left_out
