"""Every pooling after every block: a curve, and a candidate whose layer was chosen without what is judged."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classtoken.comparison.contest import Entrant, judged_or_fault, scores_of
from classtoken.comparison.entrants import Kept, Passed, Report, cost_of, judging
from classtoken.comparison.labelled import Labelled
from classtoken.comparison.task import Judged
from classtoken.results.compare import BEST_LAYER, LayerCurve


@dataclass(frozen=True)
class Layered:
    """The curves of one model, and the candidates whose layer was chosen on what is learned from."""

    curves: tuple[LayerCurve, ...]
    chosen: tuple[Entrant, ...]


def by_layer(one: Passed, keeping: Kept, prefix: str, report: Report = None) -> Layered:
    """Judge every layer by the metric that ranks alone."""
    task, curves, chosen, done = keeping.task, [], [], 0
    for pooling in dict.fromkeys(pooling for pooling, _, _ in one.asked.layered):
        layers, judged = [], []
        for name, layer, readout in one.asked.layered:
            if name == pooling:
                judging(report, done, len(one.asked.layered), f"{prefix}poolings by layer")
                done += 1
                vectors = one.found.vectors[readout][keeping.rows]
                found = judged_or_fault(task, vectors, only=task.metric)
                if not isinstance(found, str):  # the embeddings of a class token are equal for all items
                    layers.append(layer)
                    judged.append(found)
        if not judged:
            continue
        alone = [Judged({task.metric: j.values[task.metric]}) for j in judged]
        scores = tuple(found[task.metric] for found in scores_of(alone, task.units))
        curves.append(LayerCurve(one.name, pooling, task.metric, tuple(layers), scores))
        if isinstance(task, Labelled) and len(judged) > 1:
            chosen.append(_chosen(one, task, prefix, pooling, (layers, judged)))
    return Layered(tuple(curves), tuple(chosen))


def _chosen(
    one: Passed, task: Labelled, prefix: str, pooling: str, found: tuple[Sequence[int], Sequence[Judged]]
) -> Entrant:
    """For every part of the split the layer that is best on its held-out training items; the items that the part judges
    count as that layer judged them."""
    layers, judged = found
    best = [int(np.argmax([j.inner[part] for j in judged])) for part in range(len(task.split.parts))]
    part_of = task.split.part_of
    values = {
        name: np.choose(part_of, [judged[best[part]].values[name] for part in range(len(best))])
        for name in judged[0].values
    }
    usual = Counter(layers[b] for b in best).most_common(1)[0][0]
    setting = f"layer {', '.join(str(layers[b]) for b in best)}"
    cost = cost_of(one, one.found.vectors[f"{pooling}@{usual}"].shape[1])
    entrant = Judged(values, setting=setting)
    return Entrant(f"{prefix}{pooling}{BEST_LAYER}", one.name, f"{pooling}@{usual}", entrant, cost)
