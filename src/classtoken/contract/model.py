"""A model's folder -> its readings: the one place where files, families and weights come together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from classtoken.contract import clues
from classtoken.contract.clues import PoolingClue
from classtoken.contract.reading import (
    Reading,
    choose,
    classifier_of,
    contract_of,
    over_of,
    own_pooler_of,
    projection_of,
    steps_of,
)
from classtoken.encoder.checkpoint import Checkpoint, open_checkpoint
from classtoken.encoder.families.row import AuthorsReadout
from classtoken.encoder.towers import LoadedTower, load_towers
from classtoken.model_folder import read_prompts, transformer_folder
from classtoken.pooling.spec import parse
from classtoken.readout import Classifier, OwnPooler, Readout
from classtoken.readout.saved import SavedReadout, read_saved


def read_model(folder: Path) -> tuple[Reading, ...]:
    """Every tower of a folder with its contract. Raises the errors of `encoder.checkpoint`, and `ContractError`."""
    checkpoint = open_checkpoint(transformer_folder(folder))
    towers = load_towers(checkpoint)
    return tuple(_reading(folder, checkpoint, tower, alone=len(towers) == 1) for tower in towers)


def _reading(folder: Path, checkpoint: Checkpoint, tower: LoadedTower, *, alone: bool) -> Reading:
    loaded, family, over = tower.loaded, tower.loaded.family, over_of(tower.modality)
    pooler: OwnPooler | None = None
    missing: str | None = "this model has no pooled output of its own"
    authors: AuthorsReadout | None = None
    classifier: Classifier | None = None
    if family is not None:
        pooler, missing = own_pooler_of(family, tower.config, loaded)
        authors = family.readout(tower.config)
        classifier = classifier_of(family, tower.config, loaded, pooler, over)
    saved = read_saved(folder)
    found = _clues(folder, checkpoint, tower, saved, alone)
    if classifier is not None and authors is not None and str(classifier.readout.spec) == authors.spec:
        says = f"{', '.join(tower.config.get('architectures') or ())}: its classifier reads it"
        found.append(PoolingClue(authors.spec, 2, "config.json and weights", says))
    clue, claim = choose(found, family, authors)
    after, unit_length = steps_of(clue)
    if clue.rank == 0 and saved is not None:
        unit_length = saved.unit_length
    elif not alone and family is not None:
        projection = projection_of(family, loaded)
        after = [projection] if projection is not None else []
        unit_length = authors.unit_length if authors is not None else False
    learned = dict(saved.learned) if saved is not None else {}
    size = _size(clue.spec, loaded.encoder.hidden_size, pooler, learned, after)
    contract = contract_of(clue, authors, after, unit_length, size, read_prompts(folder))
    reading = Reading(
        modality=tower.modality,
        folder=folder,
        config=tower.config,
        encoder=loaded.encoder,
        family=family,
        over=over,
        contract=contract,
        claims=(claim,),
        pooler=pooler,
        pooler_missing=missing,
        after=after,
        learned=learned,
        authors=authors,
        classifier=classifier,
        prefix=loaded.prefix,
        inputs=loaded.inputs,
    )
    if saved is not None and saved.head is not None:
        reading.classifier = _saved_classifier(reading, saved)
    return reading


def _clues(
    folder: Path, checkpoint: Checkpoint, tower: LoadedTower, saved: SavedReadout | None, alone: bool
) -> list[PoolingClue]:
    found = [PoolingClue(saved.pooling, 0, "classtoken.json", "the readout saved with the weights")] if saved else []
    candidates = [clues.sentence_transformers(folder)]
    if alone:
        candidates += [clues.timm_pool(tower.config), clues.card_pooling(checkpoint)]
    return found + [clue for clue in candidates if clue is not None]


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
    classifier.label_names = saved.label_names
    return classifier


def _size(
    spec: str, hidden: int, pooler: OwnPooler | None, learned: Mapping[str, nn.Module], after: list[nn.Module]
) -> int:
    """Numbers of the contract's vector."""
    if after:
        last: Any = after[-1]
        return last.linear.out_features if hasattr(last, "linear") else last.normalized_shape[0]
    total = 0
    for term in parse(spec).terms:
        own = pooler.size if term.name == "pooler" and pooler is not None else None
        total += own or getattr(learned.get(str(term)), "width", None) or hidden
    return total
