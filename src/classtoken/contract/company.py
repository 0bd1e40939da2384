"""Experiments before the first vector of a model that comes in through transformers: does company move it?

`inspect` shows the same; here what is found is acted on. Where mates of a batch move a vector, inputs are computed one
at a time; where that does not help, or numbers come out that are none, the vector is refused. Asked once for a folder.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from classtoken.contract.checks import TOLERANCE, difference
from classtoken.contract.reading import Reading
from classtoken.encoder.foreign.model import Foreign
from classtoken.encoder.protocol import is_proved
from classtoken.pooling.spec import parse
from classtoken.readout import Readout
from classtoken.remembered import folder_fingerprint, remembered
from classtoken.results.inspect import Claim, Evidence, Kind, Verdict
from classtoken.tensors import Tokens
from classtoken.values import Role
from classtoken.version import __version__

#: Tokens of the texts that are tried: several lengths, and two of one length.
LENGTHS = (7, 3, 12, 7)
IMAGES = 3


def settle_company(folder: Path, readings: Sequence[Reading]) -> None:
    """Try every foreign side: compute its inputs one at a time, or refuse its vectors (`Reading.refusals`)."""
    foreign = [reading for reading in readings if not is_proved(reading.encoder)]
    if not foreign:
        return

    def ask() -> dict[str, Any]:
        logging.getLogger(__name__).warning("'%s' is new here: checking once whether company moves its vectors", folder)
        return {reading.modality: _tried(reading) for reading in foreign}

    places = dict.fromkeys((folder, *(reading.home for reading in readings)))
    files = [folder_fingerprint(place) for place in places]
    found = remembered(f"company {__version__} {files}", ask) or {}
    for reading in foreign:
        answer = found.get(reading.modality) or {}
        if answer.get("alone"):
            cast(Foreign, reading.encoder).alone = True
            says = f"mates of a batch move its vectors by {answer['moved']}"
            evidence = Evidence(Kind.EXPERIMENT, "run at the first load", says)
            reading.claims += (Claim("company", "inputs are computed one at a time", Verdict.PROVED, (evidence,)),)
        if answer.get("refused"):
            reading.refusals += (str(answer["refused"]),)


@torch.no_grad()
def _tried(reading: Reading) -> dict[str, Any]:
    encoder = cast(Foreign, reading.encoder)
    readout = _readout(reading)
    batches, vectors = [], []
    for one in inputs_of(encoder):
        try:
            vectors.append(readout(encoder(one)))
            batches.append(one)
        except Exception as error:  # some models take no text as short as others do
            why = error
    if len(batches) < 2:
        return {"refused": f"it does not take inputs of several lengths ({' '.join(str(why).split()):.160})."}
    single = torch.cat(vectors)
    if not bool(torch.isfinite(single).all()):
        return {"refused": "its vectors hold numbers that are none (NaN or infinity) for random inputs. Is it whole?"}
    moved = _moved(encoder, readout, single, batches)
    if moved <= TOLERANCE:
        return {}
    encoder.alone = True
    still = _moved(encoder, readout, single, batches)
    if still <= TOLERANCE:
        return {"alone": True, "moved": f"{moved:.1e}"}
    return {"refused": f"its vector moves by {still:.1e} from run to run, computed alone as well."}


def _readout(reading: Reading) -> Readout:
    """The contract's own vector; the mean where nothing says which it is."""
    return reading.readout(parse("mean") if reading.unsettled else None)


def _moved(encoder: Foreign, readout: Readout, single: Tensor, batches: Sequence[Tokens]) -> float:
    """How far company moves a vector; infinite where a model does not take a batch at all."""
    try:
        return difference(single, readout(encoder(together(batches))))
    except Exception:  # whatever a model says to a batch that took every one of its inputs
        return float("inf")


def inputs_of(encoder: Foreign) -> list[Tokens]:
    """Random inputs of several lengths, each a batch of its own."""
    if encoder.modality == "image":
        roles = torch.tensor([[int(role) for role in encoder.layout.roles()]])
        pixels = [encoder.random_input(seed)["pixel_values"] for seed in range(IMAGES)]
        return [Tokens(roles.to(one.device), pixels=one, grid=encoder.layout.grid) for one in pixels]
    room = encoder.positions or max(LENGTHS)
    texts = [encoder.random_input(seed, min(n, room))["input_ids"] for seed, n in enumerate(LENGTHS)]
    return [Tokens(_roles(ids), ids) for ids in texts]


def _roles(ids: Tensor) -> Tensor:
    """Of a text: what is read first may be a class token, and then `cls` reads it."""
    roles = torch.full_like(ids, int(Role.CONTENT))
    roles[:, 0] = int(Role.CLASS)
    return roles


def together(batches: Sequence[Tokens]) -> Tokens:
    """Several inputs as one batch, padded on the right."""
    longest = max(one.roles_BL.shape[1] for one in batches)

    def padded(values: Sequence[Tensor], fill: int) -> Tensor:
        pad = torch.nn.functional.pad
        return torch.cat([pad(one, (0, longest - one.shape[1]), value=fill) for one in values])

    roles = padded([one.roles_BL for one in batches], int(Role.PAD))
    pixels = [one.pixels for one in batches if one.pixels is not None]
    if pixels:
        return Tokens(roles, pixels=torch.cat(pixels), grid=batches[0].grid)
    return Tokens(roles, padded([one.ids_BL for one in batches if one.ids_BL is not None], 0))
