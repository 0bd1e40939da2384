"""What made a vector, and which vectors may be compared.

Weights are hashed by what they are, tensor by tensor as 32-bit numbers under our own names: a checkpoint that was
renamed, copied, split over more files, stored in another precision that holds the same numbers or saved again by
another library has the same hash, and one in which a single weight differs has another.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from torch import nn

from classtoken.embedder.tower import Tower
from classtoken.encoder.protocol import is_stepwise
from classtoken.fingerprint import hash_value
from classtoken.plain import chosen
from classtoken.readout.after import in_words
from classtoken.readout.own import OwnPooler, meaning
from classtoken.readout.readout import Readout
from classtoken.tensors import tensor_hash

#: Entries of a foreign model's config that say how it was stored, not what it computes.
STORED = ("architectures", "dtype", "id2label", "label2id", "torch_dtype", "transformers_version", "use_cache")
THREADS = 4


def encoder_hash(encoder: Any) -> str:
    """A hash of an encoder: its architecture and its weights, whatever file they came from."""
    if is_stepwise(encoder):
        architecture = chosen(encoder.shape)
    elif (config := getattr(encoder, "config", None)) is not None:
        architecture = {
            name: v for name, v in config.to_dict().items() if name not in STORED and not name.startswith("_")
        }
    else:
        architecture = {"kind": type(encoder).__name__}
    return hash_value([architecture, module_hash(encoder)])


def module_hash(module: nn.Module) -> str:
    """A hash of a module's tensors by name, shape and value."""
    tensors = sorted(module.state_dict().items())
    values = [value for _, value in tensors]
    with ThreadPoolExecutor(THREADS) as pool:
        return hash_value(
            [[name, digest] for (name, _), digest in zip(tensors, pool.map(tensor_hash, values), strict=True)]
        )


def weights_hash(encoder: str, readouts: Sequence[Readout]) -> str:
    """A hash of all weights that these readouts' vectors depend on; `encoder` is the encoder's own hash."""
    return hash_value([encoder, *(module_hash(readout) for readout in readouts)])


def space_of(tower: Tower, encoder: str, readout: Readout) -> str:
    """A hash that two vectors share exactly when they may be compared: encoder, readout, length, size."""
    return hash_value(["one", _in_space(tower, encoder, readout)])


def joint_space(sides: Mapping[str, tuple[Tower, str]], normalize: bool | None) -> str:
    """The space in which the sides or routes of one model meet: that of the whole contract, the same for each of them.
    `sides` are towers with their encoders' hashes."""
    found = []
    for name, (tower, encoder) in sorted(sides.items()):
        (readout,) = tower.readouts(None, normalize).values()
        found.append([name, _in_space(tower, encoder, readout)])
    return hash_value(["joint", found])


def _in_space(tower: Tower, encoder: str, readout: Readout) -> list[Any]:
    """What decides where the vectors lie. Prompts, precision and preprocessing move them about in one space."""
    return [encoder, *made_by(readout), tower.size_of(readout)]


def made_by(readout: Readout) -> list[Any]:
    """All of a readout that decides a vector's numbers, in plain values."""
    poolers = [meaning(pooling.row) for pooling in readout.poolings if isinstance(pooling, OwnPooler)]
    after = [in_words(step) for step in (*readout.before, *readout.after)]
    over = sorted(role.name for role in readout.over)
    return [str(readout.spec), poolers, over, after, module_hash(readout), readout.unit_length]
