"""What a lower precision costs, on the user's own data: the same model in fp32 beside it, and where they part."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from classtoken.embedder import load
from classtoken.measure.geometry import cosines
from classtoken.run.embedding import EmbedStage
from classtoken.source import Reader, Source
from classtoken.tensors import Tokens
from classtoken.values import Rejected, Role, Task

#: Precision -> the lowest cosine to fp32 that it should give.
LOWEST = {"bf16": 0.99, "int8": 0.97}
#: Records whose states are compared block by block.
FEW = 16


def in_fp32(stage: EmbedStage) -> EmbedStage:
    """The same stage with the same model in fp32, its vectors whole."""
    exact = load(replace(stage.embedder.spec, precision="fp32"))
    return EmbedStage(exact, stage.modality, prompt=stage.prompt, chunks=stage.chunks)


def costliest_block(source: Source, tasks: Sequence[Task], stage: EmbedStage) -> int:
    """The block, counted from 0, after which the mean cosine of a token's state to that of fp32 has fallen most."""
    exact = in_fp32(stage)
    fallen = np.zeros(0)
    for tokens in _some(source, tasks, stage):
        low, high = (_states(one, tokens) for one in (stage, exact))
        after = np.array([cosines(a, b).mean() for a, b in zip(low, high, strict=True)])
        lost = -np.diff(after, prepend=1.0)
        fallen = lost if not len(fallen) else fallen + lost
    return int(fallen.argmax())


def _some(source: Source, tasks: Sequence[Task], stage: EmbedStage) -> list[Tokens]:
    """The first batch of each task."""

    def left_out(place: int, why: Rejected) -> None:
        """Bad records are the run's business."""

    found, reader = [], Reader(source)
    whole = EmbedStage(stage.embedder, stage.modality, prompt=stage.prompt)  # texts as they are, whatever is cut
    for task in tasks:
        records = ((place, one) for place, one in enumerate(reader(task)) if not isinstance(one, Rejected))
        first = next(iter(whole.batches(records, left_out)), None)
        if first is not None:
            found.append(first.tokens)
    return found


def _states(stage: EmbedStage, tokens: Tokens) -> list[np.ndarray]:
    """States of all tokens after each block: (tokens, D) each."""
    embedder = stage.embedder
    depth = embedder.tower(stage.modality).reading.encoder.depth
    with embedder.inference():
        states = embedder.run(tokens.to(embedder.device, embedder.dtype), layers=range(depth), modality=stage.modality)
    there = states.roles_BL != Role.PAD
    return [states.layers[i][there].float().cpu().numpy() for i in range(depth)]
