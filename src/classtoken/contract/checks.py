"""What the numbers of a checkpoint say: small experiments on the loaded encoder.

Each returns a `Claim` with what was done and what came out. None of them needs the checkpoint's own data.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from classtoken.results.inspect import Claim, Evidence, Kind, Verdict
from classtoken.tensors import Recorder, States, Tokens
from classtoken.values import Role

Forward = Callable[..., States]
TOLERANCE = 1e-5


def difference(a: Tensor, b: Tensor) -> float:
    """Largest difference, relative to the largest number."""
    scale = max(float(a.abs().max()), float(b.abs().max()), 1e-12)
    return float((a - b).abs().max()) / scale


def _claim(subject: str, value: str, holds: bool, says: str) -> Claim:
    verdict = Verdict.PROVED if holds else Verdict.REFUTED
    return Claim(subject, value, verdict, (Evidence(Kind.EXPERIMENT, "run here", says),))


@torch.no_grad()
def class_token_is_constant(encoder: Forward, *inputs: Tokens) -> Claim | None:
    """Is what stands at the class token's place before the first block the same for different inputs?

    Behind a text its place, and so what is added for that, is another for each length: then nothing is claimed.
    """
    places, *others = ((tokens.roles_BL[0] == Role.CLASS).nonzero().flatten() for tokens in inputs)
    if len(places) == 0 or any(not torch.equal(places, other) for other in others):
        return None
    starts = []
    for tokens in inputs:
        recorder = Recorder(("embeddings",))
        encoder(tokens, trace=recorder)
        starts.append(recorder.kept["embeddings"][:1, places])
    moved = max(difference(starts[0], other) for other in starts[1:])
    said = f"embeddings of {len(inputs)} inputs at {_places(places)} differ by {moved:.1e}"
    if moved == 0.0:
        return _claim("class token", "the same vector for every input before the first block", True, said)
    return _claim("class token", "differs between inputs before the first block: it is no learned token", False, said)


@torch.no_grad()
def reach(encoder: Forward, *pairs: tuple[Tokens, Tokens]) -> Claim:
    """Is the mask causal? Inputs, and the same with another last token: does the first one's final state move?"""
    moved = 0.0
    for tokens, changed in pairs:
        first = _first_token(tokens)
        before, after = encoder(tokens).last_BLD[0, first], encoder(changed).last_BLD[0, first]
        moved = max(moved, difference(before, after))
    said = f"changing the last token of {len(pairs)} inputs moves the first one's state by {moved:.1e} at most"
    if moved > TOLERANCE:
        return _claim("attention", "bidirectional: the first token reads the last", True, said)
    value = "causal: the first token never sees what follows, so a class token in front can hold nothing of the input"
    return _claim("attention", value, True, said)


@torch.no_grad()
def deterministic(vector: Callable[[], Tensor]) -> Claim:
    """Two runs on the same input: bit for bit the same?"""
    moved = difference(vector(), vector())
    said = f"two runs on the same input differ by {moved:.1e}"
    if moved <= 1e-6:
        return _claim("deterministic", "the same input gives the same vector", True, said)
    return _claim("deterministic", "the same input gives different vectors", False, said)


@torch.no_grad()
def unmoved(subject: str, alone: Tensor, other: Tensor, did: str) -> Claim:
    """Does something that should not matter (padding, its side, a batch mate) move the vector?"""
    moved = difference(alone, other)
    said = f"{did}: the vector moves by {moved:.1e}"
    if moved <= TOLERANCE:
        return _claim(subject, "does not move the vector", True, said)
    return _claim(subject, "MOVES the vector", False, said)


def _first_token(tokens: Tokens) -> int:
    return int((tokens.roles_BL[0] != Role.PAD).long().argmax())


def _places(places: Tensor) -> str:
    numbers = places.tolist()
    return f"position {numbers[0]}" if len(numbers) == 1 else f"positions {numbers[0]} to {numbers[-1]}"
