"""A model's folder -> its readings: the one place where files, families and weights come together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from classtoken.contract import clues
from classtoken.contract.clues import PoolingClue
from classtoken.contract.foreign_head import LENGTHS, foreign_head
from classtoken.contract.reading import (
    Reading,
    choose,
    classifier_of,
    contract_of,
    labelled,
    over_of,
    own_pooler_of,
    projection_of,
    steps_of,
)
from classtoken.encoder.checkpoint import Checkpoint, check_finite, open_checkpoint
from classtoken.encoder.families.row import AuthorsReadout, Family
from classtoken.encoder.foreign.classifying import ForeignHead
from classtoken.encoder.towers import LoadedTower, load_towers
from classtoken.errors import ModelError, UnsupportedModel
from classtoken.model_folder import ENCODER_SETTINGS, read_prompts, transformer_folder
from classtoken.pooling.spec import parse
from classtoken.readout import Classifier, OwnPooler, Readout, own
from classtoken.readout.after import size_behind
from classtoken.readout.saved import SavedReadout, read_saved
from classtoken.results.inspect import Contract
from classtoken.tokens.wordpieces import class_token_first, tokenizer_folder
from classtoken.values import Role

#: sentence-transformers pools every token that is no padding, of images too: class token and registers as well.
EVERY_TOKEN = frozenset(Role) - {Role.PAD}
PROJECTED = "the projection's weights"
"""what says of one side of an image-text model that its vector is the one in the space of both"""


def read_model(folder: Path) -> tuple[Reading, ...]:
    """Every tower of a folder with its contract. Raises the errors of `encoder.checkpoint`, and `ContractError`."""
    declared = clues.sentence_transformers(folder)  # before the weights: it says what kind of model this is
    checkpoint = open_checkpoint(transformer_folder(folder))
    towers = load_towers(checkpoint)
    alone = len(towers) == 1
    if declared is not None and alone == (declared.spec == ""):
        raise UnsupportedModel(
            f"'{folder / 'modules.json'}' ({declared.says}) "
            + (
                "takes a vector that this encoder does not give."
                if alone
                else "pools the tokens of a model of two sides."
            )
            + " Name the folder of the encoder itself, without modules.json."
        )
    saved = read_saved(folder)
    meant = _meant_by(saved, towers, folder)
    return tuple(_reading(folder, checkpoint, tower, declared, saved, alone=alone) for tower in meant)


def _meant_by(saved: SavedReadout | None, towers: Sequence[LoadedTower], folder: Path) -> Sequence[LoadedTower]:
    """The side that a saved readout belongs to: what it and its head learned of one side says nothing of the other."""
    if saved is None or not saved.modality:
        return towers
    found = [tower for tower in towers if tower.modality == saved.modality]
    if not found:
        there = " and ".join(tower.modality for tower in towers)
        raise ModelError(
            f"classtoken.json of '{folder}' is for modality '{saved.modality}', and the model there reads {there}. "
            "Copy the folder again."
        )
    return found


def _reading(
    folder: Path,
    checkpoint: Checkpoint,
    tower: LoadedTower,
    declared: PoolingClue | None,
    saved: SavedReadout | None,
    *,
    alone: bool,
) -> Reading:
    loaded, family, over = tower.loaded, tower.loaded.family, over_of(tower.modality)
    pooler: OwnPooler | None = None if loaded.pooled_size is None else own.ModelPooled(loaded.pooled_size)
    missing: str | None = "this model has no pooled output of its own"
    authors: AuthorsReadout | None = None
    if family is not None:
        pooler, missing = own_pooler_of(family, tower.config, loaded)
        authors = family.authors_readout(tower.config)
    classifier = _classifier(folder, checkpoint, tower, pooler, foreign_too=saved is None and alone)
    if declared is not None:
        declared = replace(declared, spec=_as_pooled_there(declared.spec, folder, tower))
    found = _clues(checkpoint, tower, saved, declared if alone else None, authors, alone)
    found += _classifier_clues(classifier, authors, tower)
    projection = None if classifier is not None and alone else projection_of(loaded, needed=not alone)
    if alone and projection is not None and authors is not None:
        says = f"{', '.join(tower.config.get('architectures') or ())}: a projection that is in the file reads it"
        found.append(PoolingClue(authors.spec, 2, PROJECTED, says))
    unsettled = _unsettled(tower, authors, found) or _left_over(folder, found)
    clue, claim = choose(found, family, authors)
    (before, _), (after, unit_length) = steps_of(clue.before, ends=False), steps_of(clue.steps)
    if clue.rank == 0 and saved is not None:
        unit_length = saved.unit_length
    elif not alone or clue.source == PROJECTED:
        meets = authors or loaded.meant
        unit_length = meets is not None and meets.unit_length
        if declared is not None and not alone:
            after, unit_length = steps_of(declared.steps)
        after = ([projection] if projection is not None else []) + after
    learned = dict(saved.learned) if saved is not None else {}
    size = _size(clue.spec, size_behind(before, loaded.encoder.hidden_size), pooler, learned)
    size = size_behind(after, size)
    contract = contract_of(clue, authors, (before, after), unit_length, size, read_prompts(folder))
    contract = _unprojected(contract, family, lacking=clue.rank >= 9 and projection is None)
    reading = Reading(
        modality=tower.modality,
        folder=folder,
        home=checkpoint.folder,
        config=tower.config,
        encoder=loaded.encoder,
        family=family,
        over=over,
        contract=contract,
        claims=(claim,),
        pooler=pooler,
        pooler_missing=missing,
        after=after,
        before=before,
        contract_over=EVERY_TOKEN if clue.source == "modules.json" else None,
        learned=learned,
        authors=authors,
        classifier=classifier,
        prefix=loaded.prefix,
        inputs=loaded.inputs,
        unsettled=unsettled,
    )
    if saved is not None and saved.head is not None:
        reading.classifier = _saved_classifier(reading, saved)
    for part in (pooler, reading.classifier, *before, *after, *learned.values()):
        check_finite(part or nn.Identity(), str(folder))
    return reading


def _unprojected(contract: Contract, family: Family | None, *, lacking: bool) -> Contract:
    """The contract of a side of an image-text model, which says so where its file lacks the projection of both."""
    if not lacking or family is None or family.projection is None:
        return contract
    return replace(contract, reason=f"{contract.reason}; this file lacks the projection: this is what it reads")


def _clues(
    checkpoint: Checkpoint,
    tower: LoadedTower,
    saved: SavedReadout | None,
    declared: PoolingClue | None,
    authors: AuthorsReadout | None,
    alone: bool,
) -> list[PoolingClue]:
    found = [PoolingClue(saved.pooling, 0, "classtoken.json", "the readout saved with the weights")] if saved else []
    candidates, meant = [declared], tower.loaded.meant
    if meant is not None and meant.spec is not None:
        candidates.append(PoolingClue(meant.spec, clues.EXPERIMENT, "run here", meant.says))
    if alone:
        candidates += [*clues.timm_pool(tower.config, authors), clues.card_pooling(checkpoint)]
    return found + [clue for clue in candidates if clue is not None]


def _unsettled(tower: LoadedTower, authors: AuthorsReadout | None, found: Sequence[PoolingClue]) -> tuple[str, ...]:
    """Why a pooling must be named: something was found that a guess might miss, and no file says what was meant."""
    meant, layout = tower.loaded.meant, tower.loaded.encoder.layout
    why = meant.says if meant is not None and meant.spec is None else "" if authors is None else authors.unsettled
    if found or not why:
        return ()
    offered = ["last" if tower.modality == "text" else "cls" if layout.count(Role.CLASS) else "", "mean"]
    offered += ["pooler"] if tower.loaded.pooled_size is not None else []
    return (
        f"nothing in this folder says which vector of a '{tower.config.get('model_type')}' its authors meant: "
        f"{why}. Name a `pooling`: {' or '.join(repr(spec) for spec in offered if spec)}.",
    )


def _left_over(folder: Path, found: Sequence[PoolingClue]) -> tuple[str, ...]:
    """Why a pooling must be named in a folder of sentence-transformers that lost the file which says it."""
    names = ("config_sentence_transformers.json", *ENCODER_SETTINGS)
    there = next((name for name in names if (folder / name).is_file()), None)
    there = there or next((path.name for path in folder.glob("[0-9]_Pooling") if path.is_dir()), None)
    if there is None or any(clue.rank < 2 for clue in found) or (folder / "modules.json").is_file():
        return ()
    return (
        f"'{folder}' holds {there} of sentence-transformers, but no modules.json, which says how its vectors are "
        "pooled. Copy that file too, or name the folder that holds it, or a `pooling`.",
    )


def _classifier(
    folder: Path, checkpoint: Checkpoint, tower: LoadedTower, pooler: OwnPooler | None, *, foreign_too: bool
) -> Classifier | None:
    """The published classifier: by its row; where that knows none and `foreign_too`, as transformers computes it."""
    loaded, over = tower.loaded, over_of(tower.modality)
    if loaded.family is not None:
        known = classifier_of(loaded.family, tower.config, loaded, pooler, over)
        if known is not None:
            return known
    first = _as_pooled_there("cls", folder, tower) if tower.modality == "text" else "cls"
    found = foreign_head(folder, checkpoint, tower, pooler, over, first) if foreign_too else None
    if found is None:
        return None
    readout, head = found
    size = pooler.size if str(readout.spec) == "pooler" and pooler is not None else None
    with torch.no_grad():
        count = head(torch.zeros(1, size or loaded.encoder.hidden_size)).shape[1]
    return labelled(readout, head, count, tower.config)


def _classifier_clues(
    classifier: Classifier | None, authors: AuthorsReadout | None, tower: LoadedTower
) -> list[PoolingClue]:
    """What a published classifier says of the pooling."""
    if classifier is None:
        return []
    spec, names = str(classifier.readout.spec), ", ".join(tower.config.get("architectures") or ())
    if isinstance(classifier.head, ForeignHead):
        says = f"{names} reads it, on {len(LENGTHS)} random {tower.modality}s"
        return [PoolingClue(spec, clues.EXPERIMENT, "run here", says)]
    if authors is None or spec != authors.spec:
        return []
    return [PoolingClue(spec, 2, "config.json and weights", f"{names}: its classifier reads it")]


def _saved_classifier(reading: Reading, saved: SavedReadout) -> Classifier:
    assert saved.head is not None
    readout = Readout(
        parse(saved.pooling),
        reading.encoder.depth,
        reading.over,
        size=reading.encoder.hidden_size,
        learned=reading.learned,
        pooler=reading.pooler,
    )
    classifier = Classifier(readout, saved.head, saved.labels).eval()
    classifier.temperature, classifier.multilabel = saved.temperature, saved.multilabel
    classifier.label_names, classifier.typical = saved.label_names, saved.typical
    return classifier


def _as_pooled_there(spec: str, folder: Path, tower: LoadedTower) -> str:
    """sentence-transformers' `cls` is the first token of whatever kind; `cls` here where that is the class token."""
    if tower.modality == "image":
        layout = tower.loaded.encoder.layout
        same = layout.runs[0][0] is Role.CLASS and layout.count(Role.CLASS) == 1
    else:
        same = class_token_first(tokenizer_folder(folder), tower.loaded.inputs)
    return spec if same else "+".join("first" if name == "cls" else name for name in spec.split("+"))


def _size(spec: str, hidden: int, pooler: OwnPooler | None, learned: Mapping[str, nn.Module]) -> int:
    """Numbers of the pooled vector."""
    total = 0
    for term in parse(spec).terms:
        own = pooler.size if term.name == "pooler" and pooler is not None else None
        total += own or getattr(learned.get(str(term)), "width", None) or hidden
    return total
