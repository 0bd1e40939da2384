"""Which vector the classifier of a kind of model reads: found by running transformers' own class around the encoder.

A classifier's class says what its authors pool even where a checkpoint has no classifier. Its own layers get random
weights, because only what enters its last matrix is looked at.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from classtoken.encoder.checkpoint import Meant
from classtoken.encoder.foreign.model import EQUAL, Foreign
from classtoken.encoder.foreign.quietly import quietly
from classtoken.tensors import Tokens
from classtoken.values import Role

#: Rows of an answer of a classifier that is built only to see what it reads.
CLASSES = 7


def meant_by(foreign: Foreign) -> Meant | None:
    """What experiments say about the readout of a model; None where nothing speaks against the mean."""
    if foreign.modality == "text":
        says = "its mask is causal: the last token alone has read the whole text, and a mean is something else"
        return Meant(None, says) if foreign.causal else None
    read = read_by_classifier(foreign)
    if read is not None:
        return read
    if foreign.pooler_whole:
        return Meant("pooler", "its own pooled output; transformers has no classifier of this type")
    classes = foreign.layout.count(Role.CLASS)
    return Meant(None, f"it has {classes} class token{'s'[: classes - 1]}, and nothing reads one") if classes else None


def read_by_classifier(foreign: Foreign) -> Meant | None:
    """What the image classifier of this model's kind reads; None where transformers has no such class."""
    made = _classifier_class(foreign.config)
    if made is None:
        return None
    name = made.__name__
    try:
        found = [_read(made, foreign, seed) for seed in (0, 1)]
    except Exception as error:  # whatever a class of another library says to an encoder of other settings
        return Meant(None, f"{name} could not be run around it ({type(error).__name__})")
    for spec in ("pooler", "cls", "mean"):
        if all(_equal(entered, candidates.get(spec)) for entered, candidates in found):
            return Meant(spec, f"{name} reads it, on {len(found)} random images")
    return Meant(None, f"{name} reads something that no pooling here gives")


def _classifier_class(config: Any) -> Any:
    from transformers import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING as MAPPING

    made = MAPPING.get(type(config), None)
    return made[0] if isinstance(made, list | tuple) else made


@torch.no_grad()
def _read(made: Any, foreign: Foreign, seed: int) -> tuple[Tensor | None, Mapping[str, Tensor]]:
    """What enters the classifier's last matrix, and the vectors that it may be."""
    config = deepcopy(foreign.config)
    config.num_labels = CLASSES
    with quietly(), torch.device("meta"):
        whole = made(config).eval()
    setattr(whole, whole.base_model_prefix, foreign.model)
    device = next(foreign.model.parameters()).device
    last: nn.Linear | None = None
    for child in (child for name, child in whole.named_children() if name != whole.base_model_prefix):
        child.to_empty(device=device)
        for weight in (*child.parameters(), *child.buffers()):
            weight.fill_(1)
        matrices = [m for m in child.modules() if isinstance(m, nn.Linear) and m.out_features == CLASSES]
        last = last or next(iter(matrices), None)
    entered: list[Tensor] = []
    batch = foreign.random_input(seed)
    if last is not None:
        with last.register_forward_pre_hook(lambda _, given: entered.append(given[0])):
            whole(**batch)
    return (entered[0].flatten(1) if entered else None), _candidates(foreign, batch)


def _candidates(foreign: Foreign, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    roles = torch.tensor([[int(role) for role in foreign.layout.roles()]], device=batch["pixel_values"].device)
    states = foreign(Tokens(roles, pixels=batch["pixel_values"], grid=foreign.layout.grid))
    found = {} if states.pooled_BD is None or not foreign.pooler_whole else {"pooler": states.pooled_BD}
    for spec, role in (("cls", Role.CLASS), ("mean", Role.CONTENT)):
        there = states.roles_BL[0] == role
        if bool(there.any()):
            found[spec] = states.last_BLD[:, there].mean(1)
    return found


def _equal(first: Tensor | None, second: Tensor | None) -> bool:
    if first is None or second is None or first.shape != second.shape:
        return False
    return float((first - second).abs().max() / first.abs().max().clamp(min=1e-12)) < EQUAL
