"""Read a checkpoint as its authors meant it: encoder, contract, own pooler, classifier, each with what is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from classtoken.contract.clues import EXPERIMENT, PoolingClue
from classtoken.contract.modules import Step
from classtoken.encoder.checkpoint import LoadedEncoder
from classtoken.encoder.families.row import AuthorsReadout, Family
from classtoken.encoder.names import to_ours
from classtoken.encoder.protocol import AnyEncoder
from classtoken.errors import ContractError, VectorRefused, WeightsError
from classtoken.model_folder import Prompts
from classtoken.pooling.spec import Spec, Term, parse
from classtoken.readout import Classifier, OwnPooler, Readout, own
from classtoken.readout.after import Dense, Truncate, UnitLength, in_words, read_dense, read_layer_norm, size_behind
from classtoken.readout.classifier import PublishedHead
from classtoken.results.inspect import Claim, Contract, Evidence, Kind, Verdict
from classtoken.values import IMAGE_POOLED, NO_DEFAULTS, TEXT_POOLED, InputDefaults, Layout, Role

#: Any of these says how inputs are prepared.
INPUT_FILES = ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")


@dataclass
class Reading:
    """One tower: the encoder, and every way in which it may be read out."""

    modality: str
    folder: Path
    home: Path
    """where its config.json lies: the folder itself, a module's, or that of an adapter's base"""
    config: Mapping[str, Any]
    encoder: AnyEncoder
    family: Family | None
    over: frozenset[Role]
    contract: Contract
    claims: tuple[Claim, ...] = ()
    pooler: OwnPooler | None = None
    pooler_missing: str | None = None
    """why the checkpoint's own pooled output cannot be given"""
    after: Sequence[nn.Module] = ()
    before: Sequence[nn.Module] = ()
    """what the contract does to every token's state before the pooling"""
    contract_over: frozenset[Role] | None = None
    """roles that the contract's own pooling reads, where they are not those of `over`"""
    learned: Mapping[str, nn.Module] = field(default_factory=dict)
    classifier: Classifier | None = None
    authors: AuthorsReadout | None = None
    prefix: str = ""
    """what the file writes before the encoder's names"""
    inputs: InputDefaults = NO_DEFAULTS
    """how inputs are prepared where the folder's files are silent"""
    refusals: tuple[str, ...] = ()
    """why no vector at all may be given: something contradicts what this package computes"""
    unsettled: tuple[str, ...] = ()
    """why the contract's own vector may not be given, while a pooling that is named may"""
    accepted: tuple[str, ...] = ()
    """keys that are not understood and were accepted by name"""
    prepared: Layout | None = None
    """roles in order, as inputs come out of the preprocessing: it decides whether a text has a class token"""

    @property
    def pools_all(self) -> bool:
        """Whether the contract's own pooling reads tokens that a pooling by name does not."""
        named, own = self.over, self.contract_over
        return own is not None and any(role in own - named for role, _ in self.encoder.layout.runs)

    def readout(self, spec: Spec | None = None, *, unit_length: bool | None = None) -> Readout:
        """The contract's readout, or that of another pooling: the states after the final norm, pooled, nothing after.

        Raises `VectorRefused` for a pooler without weights, `ContractError` for what this layout cannot give.
        """
        over, before, after, unit = self.over, self.before, self.after, self.contract.unit_length
        if spec is None:
            chosen, over = parse(self.meant()), self.contract_over or over
        else:
            chosen, before, after, unit = spec, (), (), False
        for term in chosen.terms:
            self.check(term)
        return Readout(
            chosen,
            self.encoder.depth,
            over,
            size=size_behind(before, self.encoder.hidden_size),
            learned=self.learned,
            pooler=self.pooler,
            after=after,
            before=before,
            unit_length=unit if unit_length is None else unit_length,
        )

    def inputs_at(self, folder: Path) -> Path:
        """Where the files lie that say how inputs are prepared: an adapter that brings none has its base's."""
        if self.home.is_relative_to(folder):
            return folder
        own = any((place / name).is_file() for place in (folder, *folder.iterdir()) for name in INPUT_FILES)
        return folder if own else self.home

    def pooler_lost(self) -> str | None:
        """Why the checkpoint's own pooled output cannot be given; None where it can."""
        if self.pooler is None:
            return self.pooler_missing or "this model has no pooled output of its own"
        if self.begins_as_meant or self.pooler.roles != frozenset({Role.CLASS}):
            return None
        return f"it reads the first token of a text, which is no class token here ({self.prepared})"

    @property
    def begins_as_meant(self) -> bool:
        """Whether texts begin with a class token, as poolers and classifiers of published checkpoints have it that read
        one: they take the first token, whatever it is."""
        if self.modality == "image" or self.prepared is None:
            return True
        return self.prepared.runs[0][0] is Role.CLASS

    @property
    def given_pooler(self) -> OwnPooler | None:
        """The checkpoint's own pooler; None where it cannot be given."""
        return self.pooler if self.pooler_lost() is None else None

    def check_classifier(self) -> None:
        """Leave a published classifier out whose class token is not where it was in training: it would read another."""
        one = self.classifier
        if one is None or self.begins_as_meant or not isinstance(one.head, PublishedHead):
            return
        if any(term.name in ("cls", "pooler") for term in one.readout.spec.terms):
            self.classifier = None

    def meant(self) -> str:
        """The contract's pooling. Raises `ContractError` where what its authors meant is not settled."""
        if self.unsettled:
            raise ContractError(self.unsettled[0])
        return self.contract.pooling

    def check(self, term: Term) -> None:
        """Refuse a term that this checkpoint cannot give, with the way out."""
        layout, instead = self.prepared or self.encoder.layout, self.contract.pooling
        lost = self.pooler_lost()
        if instead == "pooler" and lost is not None:
            instead = "cls" if layout.count(Role.CLASS) else "mean"
        if term.name == "pooler" and lost is not None:
            raise VectorRefused(f"pooler is refused: {lost}. Ask for {instead!r} instead.")
        known = self.prepared is not None or self.modality == "image"
        if term.name in ("cls", "cls_dist") and known and not layout.count(Role.CLASS):
            others = " or ".join(repr(name) for name in dict.fromkeys((instead, "mean")) if name != str(term))
            raise ContractError(
                f"{str(term)!r} needs a class token, and this model has none ({layout}). Ask for {others}."
            )
        if term.name in ("dist", "cls_dist") and not layout.count(Role.DISTILLATION):
            raise ContractError(f"{str(term)!r} needs a distillation token, and this model has none ({layout}).")
        if term.learned and str(term) not in self.learned:
            raise ContractError(
                f"{str(term)!r} is a learned pooling and this checkpoint has no trained weights for it. The verb "
                f"train fits it: pass `pooling` '{term}' to it, and use the model that it leaves."
            )
        term.block(self.encoder.depth)


def own_pooler_of(
    family: Family, config: Mapping[str, Any], loaded: LoadedEncoder
) -> tuple[OwnPooler | None, str | None]:
    """The checkpoint's own pooler, or why it must be refused."""
    row = family.pooler_row(config)
    if row.kind == "none":
        return None, f"models of the family {family.name} have no pooled output of their own"
    pooler = own.own_pooler(row, loaded.encoder.shape)
    try:
        pooler.load(loaded.rest)
    except KeyError as error:
        lost = ", ".join(rule.theirs.replace(".{p}", ".*") for rule in row.names)
        return None, (
            f"this checkpoint has no weights for it ({lost} missing: {error.args[0]}), so libraries that return it "
            f"return {own.meaning(row)} with RANDOM weights"
        )
    return pooler.eval(), None


def classifier_of(
    family: Family, config: Mapping[str, Any], loaded: LoadedEncoder, pooler: OwnPooler | None, over: frozenset[Role]
) -> Classifier | None:
    """The classifier that came with the checkpoint, with its labels; None where there is none."""
    row = family.head_among(loaded.rest, config.get("architectures") or ())
    if row is None:
        return None
    feeds = row.pooling(config)
    if feeds == "pooler" and pooler is None:
        return None
    readout = Readout(parse(feeds), loaded.encoder.depth, over, size=loaded.encoder.hidden_size, pooler=pooler)
    head = PublishedHead(row, loaded.rest, loaded.encoder.shape.block.norm_eps)
    return labelled(readout, head, head.output.out_features, config)


def labelled(readout: Readout, head: nn.Module, count: int, config: Mapping[str, Any]) -> Classifier:
    """A classifier with the names and the kind of its labels, as config.json says them."""
    names = {int(k): str(v) for k, v in (config.get("id2label") or {}).items()}
    labels = tuple(names.get(i, str(i)) for i in range(count))
    classifier = Classifier(readout, head, labels).eval()
    kind = config.get("problem_type")
    classifier.multilabel, classifier.regression = kind == "multi_label_classification", kind == "regression"
    return classifier


def choose(
    found: Sequence[PoolingClue], family: Family | None, authors: AuthorsReadout | None
) -> tuple[PoolingClue, Claim]:
    """The strongest clue, and the claim that names every other one, agreeing or not."""
    every = sorted(found, key=lambda clue: clue.rank)
    if authors is not None and family is not None:
        every.append(PoolingClue(authors.spec, 9, f"family {family.name}", authors.reason))
    if not every:
        every = [PoolingClue("mean", 10, "no file of the checkpoint", "nothing says which vector was meant")]
    best = every[0]
    evidence = tuple(
        Evidence(
            Kind.EXPERIMENT if clue.rank == EXPERIMENT else Kind.FILE if clue.rank < 9 else Kind.PAPER,
            clue.source,
            f"{clue.says} -> {clue.spec}",
        )
        for clue in every
    )
    declared = {clue.spec for clue in every if clue.rank < EXPERIMENT}
    if best.rank == EXPERIMENT:
        return best, Claim("pooling", best.spec, Verdict.PROVED, evidence)
    verdict = Verdict.ASSUMED if best.rank >= 9 else Verdict.DECLARED
    if len(declared) > 1:
        verdict = Verdict.DISPUTED
    return best, Claim("pooling", best.spec, verdict, evidence)


def steps_of(steps: Sequence[Step], *, ends: bool = True) -> tuple[list[nn.Module], bool]:
    """The modules of a clue's steps with their weights; with `ends`, whether the last was unit length, taken out."""
    modules: list[nn.Module] = []
    for step in steps:
        if step.kind == "unit_length":
            modules.append(UnitLength())
        elif step.size is not None:
            modules.append(Truncate(step.size))
        else:
            assert step.folder is not None
            read = read_dense if step.kind == "dense" else read_layer_norm
            modules.append(read(step.folder, step.config))
    unit = ends and bool(modules) and isinstance(modules[-1], UnitLength)
    return (modules[:-1] if unit else modules), unit


def projection_of(loaded: LoadedEncoder, *, needed: bool) -> Dense | None:
    """The projection of a side of an image-text model into the space of both; None where there is none.

    Raises `WeightsError` when the file lacks one that is `needed`.
    """
    family = loaded.family
    if family is None or family.projection is None:
        return None
    ours, _ = to_ours(loaded.rest, family.projection.names)
    if "projection.weight" not in ours:
        if not needed:
            return None
        raise WeightsError(f"the projection {family.projection.names[0].theirs} is missing from the checkpoint.")
    return Dense(ours["projection.weight"], ours.get("projection.bias"))


def over_of(modality: str) -> frozenset[Role]:
    """Roles that `mean` and others like it pool."""
    return IMAGE_POOLED if modality == "image" else TEXT_POOLED


def contract_of(
    clue: PoolingClue,
    authors: AuthorsReadout | None,
    steps: tuple[Sequence[nn.Module], Sequence[nn.Module]],
    unit_length: bool,
    size: int,
    prompts: Prompts,
) -> Contract:
    """The contract as plain values. `steps`: those on every token's state, and those on the vector."""
    reason, source = clue.says, clue.source
    if authors is not None and authors.spec == clue.spec and clue.rank >= 2:
        reason, source = authors.reason, authors.source
    return Contract(
        pooling=clue.spec,
        size=size,
        before=tuple(in_words(step) for step in steps[0]),
        after=tuple(in_words(step) for step in steps[1]),
        unit_length=unit_length,
        reason=reason,
        source=source,
        prompt=prompts.text,
        include_prompt=prompts.include,
    )
