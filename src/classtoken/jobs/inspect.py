"""`inspect`: which vectors a checkpoint can give, which one its authors meant, and the evidence."""

from dataclasses import replace
from pathlib import Path

from classtoken.contract.experiments import experiments
from classtoken.contract.offered import advice, has_own_pooler, lines_to_copy, uses, vectors
from classtoken.embedder import Embedder, ModelSpec, Tower, open_model
from classtoken.options import InspectOptions
from classtoken.results.inspect import Claim, Evidence, InspectedTower, Inspection, Kind, Verdict
from classtoken.tokens.text import TextPreprocessor


def inspect(model: str | Path, options: InspectOptions) -> Inspection:
    """Look at a MODEL: its files, and unless `verify` is off what experiments on it show."""
    embedder = open_model(ModelSpec(str(model), device="cpu", revision=options.revision, accept=options.accept))
    towers = tuple(_tower(str(model), tower, embedder, options.verify) for tower in embedder.towers.values())
    labels = next((len(t.reading.classifier.labels) for t in embedder.towers.values() if t.reading.classifier), 0)
    name = str(model) if str(model).startswith("builtin:") or not Path(model).exists() else Path(model).resolve().name
    return Inspection(model=name, towers=towers, labels=labels, verified=options.verify)


def _tower(model: str, tower: Tower, embedder: Embedder, verify: bool) -> InspectedTower:
    reading = tower.reading
    claims = list(reading.claims)
    if reading.pooler_missing and has_own_pooler(reading):
        evidence = Evidence(Kind.WEIGHTS, "model.safetensors", reading.pooler_missing)
        claims.append(Claim("pooler", "refused: the checkpoint has no weights for it", Verdict.DECLARED, (evidence,)))
    if verify:
        claims += experiments(reading, tower.prepare)
    family = reading.family
    encoder = reading.encoder
    contract = reading.contract
    if isinstance(tower.prepare, TextPreprocessor):
        contract = replace(contract, max_length=tower.prepare.recipe.max_length)
    good, bad = uses(reading)
    python, command = lines_to_copy(model, reading, sides=len(embedder.towers))
    return InspectedTower(
        modality=reading.modality,
        family=family.name if family else str(reading.config.get("model_type", "foreign")),
        paper=family.paper if family else "",
        layout=tower.layout,
        depth=encoder.depth,
        heads=encoder.heads,
        hidden_size=encoder.hidden_size,
        parameters=sum(p.numel() for p in encoder.parameters()),
        contract=contract,
        vectors=tuple(vectors(reading, tower.layout)),
        claims=tuple(claims),
        preprocessing=tower.prepare.describe(),
        good_for=good,
        not_for=bad,
        advice=(*tower.prepare.advice(), *advice(reading, tower.layout, claims)),
        gaps=tuple(encoder.gaps),
        refused=next(iter((*reading.refusals, *reading.unsettled)), ""),
        python=python,
        command=command,
    )
