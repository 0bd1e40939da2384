"""`inspect`: which vectors a checkpoint can give, which one its authors meant, and the evidence."""

from dataclasses import replace
from pathlib import Path

from classtoken.contract.against import side_differences
from classtoken.contract.experiments import experiments
from classtoken.contract.offered import advice, has_own_pooler, lines_to_copy, uses, vectors
from classtoken.contract.settling import Side
from classtoken.embedder import Embedder, ModelSpec, Tower, name_of, open_model
from classtoken.files import shown_name
from classtoken.options import InspectOptions
from classtoken.results.against import Against
from classtoken.results.inspect import Claim, Evidence, InspectedTower, Inspection, Kind, Verdict
from classtoken.tensors import one_thread
from classtoken.tokens.text import TextPreprocessor


@one_thread()  # experiments are on a few tokens each
def inspect(model: str | Path, options: InspectOptions) -> Inspection:
    """Look at a MODEL: its files, and unless `verify` is off what experiments on it show."""
    embedder = open_model(ModelSpec(name_of(model), device="cpu", revision=options.revision, accept=options.accept))
    verify = options.verify and options.against is None  # of two models one wants to know what differs
    ways = embedder.routes.values() or (embedder,)
    towers = tuple(_tower(str(model), tower, way, verify) for way in ways for tower in way.towers.values())
    labels = next((len(t.reading.classifier.labels) for t in embedder.towers.values() if t.reading.classifier), 0)
    return Inspection(
        model=shown_name(model),
        towers=towers,
        labels=labels,
        verified=verify,
        against=None if options.against is None else _against(embedder, options),
    )


def _against(embedder: Embedder, options: InspectOptions) -> Against:
    """What differs between a model and that of the option `against`."""
    other = open_model(ModelSpec(name_of(options.against), device="cpu", accept=options.accept))
    here, there = embedder.towers, other.towers
    pairs = [
        [Side(towers[name].reading, towers[name].prepare) for towers in (here, there)] for name in here if name in there
    ]
    return Against(
        other=str(options.against),
        sides=tuple(side_differences(*pair) for pair in pairs),
        only_here=tuple(name for name in here if name not in there),
        only_there=tuple(name for name in there if name not in here),
    )


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
    route = embedder.spec.route or ""
    python, command = lines_to_copy(model, reading, sides=len(embedder.towers), route=route)
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
        route=route,
        usual=route == (embedder.usual_route or ""),
    )
