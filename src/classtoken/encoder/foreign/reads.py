"""What a model of transformers reads: one text, one image, two sides of one model, or something else."""

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from classtoken.encoder.foreign.model import EQUAL, Foreign
from classtoken.encoder.foreign.quietly import quietly

Modality = Literal["text", "image"]
MODALITY: Mapping[str, Modality] = {"input_ids": "text", "pixel_values": "image"}
#: Inputs by the names that transformers gives them, in words.
WORDS: Mapping[str, str] = {
    **dict.fromkeys(("input_features", "input_values", "audio_values", "waveform", "input_audio"), "sound"),
    **dict.fromkeys(("pixel_values_videos", "inference_session", "video"), "videos"),
    "past_values": "time series",
    "prompt_pixel_values": "an image beside an example",
}
#: How transformers calls what gives the vector in which the two sides of a model meet.
FEATURES: Mapping[Modality, tuple[str, str, str]] = {
    "image": ("get_image_features", "vision_config", "image_embeds"),
    "text": ("get_text_features", "text_config", "text_embeds"),
}


class PairSide(nn.Module):
    """One side of a model of two: its states, and as pooled output the vector in which the two meet.

    Only the parts that this side computes with belong to it; `whole` is the model itself.
    """

    def __init__(self, whole: nn.Module, modality: Modality, parts: Mapping[str, nn.Module]):
        super().__init__()
        self.__dict__["whole"] = whole  # no part of this module: the other side is not its own
        method, config, _ = FEATURES[modality]
        self.method, self.config = method, getattr(whole.config, config)
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
    ) -> Any:
        """What `get_text_features` or `get_image_features` gives: states, and the vector as `pooler_output`."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "pixel_values": pixel_values}
        return getattr(self.whole, self.method)(**{name: one for name, one in given.items() if one is not None})

    def get_input_embeddings(self) -> nn.Module:
        """The table of word pieces."""
        return next(
            module
            for module in self.modules()
            if isinstance(module, nn.Embedding) and module.num_embeddings == self.config.vocab_size
        )


def alone(model: nn.Module) -> Modality | None:
    """Whether a model reads one text or one image and needs nothing else, as its own code says."""
    named = inspect.signature(model.forward).parameters
    main = str(getattr(model, "main_input_name", ""))
    known = [name for name in MODALITY if name in named]
    name = main if main in known else known[0] if len(known) == 1 else ""
    if not name or set(needed(model)) - {name} or len(parts_of(model)) > 1:
        return None
    return MODALITY[name]


def parts_of(model: nn.Module) -> tuple[str, ...]:
    """What a model is put together of, each with the config of a model: `text` and `vision`, say."""
    config: Any = model.config
    named = {name: getattr(getattr(config, name, None), "model_type", "") for name in config.sub_configs}
    return tuple(name.removesuffix("_config") for name, kind in named.items() if kind)


def needed(model: nn.Module) -> tuple[str, ...]:
    """Inputs that a model does not run without, as its own code says."""
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = inspect.signature(model.forward).parameters.values()
    return tuple(p.name for p in named if p.default is inspect.Parameter.empty and p.kind in plain)


def in_words(model: nn.Module) -> str:
    """What a model is, for people: `reads sound (input_features)`, `is put together of text and vision`."""
    if len(parts_of(model)) > 1:
        return f"is put together of several ({', '.join(parts_of(model))})"
    named = list(inspect.signature(model.forward).parameters)
    main = str(getattr(model, "main_input_name", ""))
    asked = [*needed(model)] or [main if main in (*named, *WORDS) else named[0]]
    kind = next((WORDS[name] for name in (*asked, *named) if name in WORDS), None)
    return "reads " + (" and ".join(asked) if kind is None else f"{kind} ({', '.join(asked)})")


#: Inputs of a forward that no model stumbles without.
OPTIONAL = re.compile(
    r"input_ids|pixel_values|.*mask|.*embeds|.*position.*|past_.*|labels|token_type_ids|.*hidden_states|encoder_outputs"
)


def stumbled(model: nn.Module, modality: Modality, error: BaseException) -> str:
    """Why a model gives no states of one text or image alone: it reads videos, or takes more, where it fell over what
    was not given. Empty where its own words say it."""
    frames = getattr(model.config, "num_frames", None)
    if modality == "image" and isinstance(frames, int) and frames > 1:
        return f"it reads videos of {frames} frames"
    codes = getattr(model.config, "num_codebooks", None)
    if modality == "text" and isinstance(codes, int):
        return f"it reads sound as codes, {codes} for each place"
    named = inspect.signature(model.forward).parameters
    tensors = [name for name, one in named.items() if "Tensor" in str(one.annotation)]
    besides = [name for name in tensors if MODALITY.get(name, modality) != modality or not OPTIONAL.fullmatch(name)]
    if isinstance(error, AttributeError | TypeError) and besides:
        return f"it takes {', '.join(besides)} besides"
    return ""


def sides(whole: nn.Module, missing: tuple[str, ...]) -> dict[Modality, Foreign]:
    """Both sides of a model that meet in one vector; empty where there are no two such sides."""
    found: dict[Modality, Foreign] = {}
    for modality, (method, config, _) in FEATURES.items():
        if not (hasattr(whole, method) and hasattr(whole.config, config)):
            return {}
        try:
            everything = Foreign(PairSide(whole, modality, dict(whole.named_children())), modality, missing)
            parts = _read(whole, everything)
            side = Foreign(PairSide(whole, modality, parts), modality, missing)
            side.probe()
        except Exception:  # whatever a model says that is put together in another way
            return {}
        if side.pooled_size is None:
            return {}
        found[modality] = side
    same = {side.pooled_size for side in found.values()}
    return found if len(same) == 1 else {}


def _read(whole: nn.Module, side: Foreign) -> dict[str, nn.Module]:
    """The children of a model whose weights the vector of one side is computed with."""
    weights = [p for p in whole.parameters() if p.requires_grad]
    with torch.enable_grad():
        pooled = side.model(**side.random_input(0)).pooler_output
        gradients = torch.autograd.grad(pooled.sum(), weights, allow_unused=True)
    read = {id(p) for p, gradient in zip(weights, gradients, strict=True) if gradient is not None}
    children = whole.named_children()
    return {name: child for name, child in children if any(id(p) in read for p in child.parameters())}


@torch.no_grad()
def meets_at_unit_length(whole: nn.Module, pair: Mapping[Modality, Foreign]) -> bool:
    """Whether the model compares its two vectors at unit length: its own output beside theirs."""
    batches = {modality: side.random_input(0) for modality, side in pair.items()}
    try:
        out = whole(**batches["text"], **batches["image"])
        given = [getattr(out, FEATURES[modality][2]).flatten() for modality in pair]
    except Exception:  # a model that is called in another way: most of them compare by cosine
        return True
    own = [side.model(**batches[modality]).pooler_output.flatten() for modality, side in pair.items()]
    return not all(bool((a - b).abs().max() < EQUAL * b.abs().max()) for a, b in zip(given, own, strict=True))


def way_out(model: nn.Module, folder: Path) -> str:
    """What to do with a model that is no encoder of one text or image: which parts of it are."""
    parts: dict[Modality, str] = {}
    for path, part in _encoders(model):
        modality = alone(part)
        if modality is not None and modality not in parts and _works(part, modality):
            parts[modality] = path
    if not parts:
        return "classtoken reads one text or one image; compute its vectors with transformers."
    (modality, path), *more = parts.items()
    also = "".join(f", and .{path} is its {modality} encoder" for modality, path in more)
    return (
        f"Its {modality} encoder is one by itself: save it with transformers, "
        f"AutoModel.from_pretrained('{folder}').{path}.save_pretrained('NEW'), and name NEW{also}."
    )


def _encoders(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Parts of a model that AutoModel opens as they are, the outermost first."""
    from transformers import MODEL_MAPPING, PreTrainedModel

    for path, part in model.named_modules():
        if path and isinstance(part, PreTrainedModel) and not part.config.is_encoder_decoder:
            try:
                made = MODEL_MAPPING.get(type(part.config), None)
            except ValueError:  # a class that the table names and the library lacks
                continue
            if type(part) in (made if isinstance(made, list | tuple) else (made,)):
                yield path, part


def _works(part: nn.Module, modality: Modality) -> bool:
    try:
        with quietly():
            Foreign(part, modality).probe()
    except Exception:  # whatever it says to one text or image alone
        return False
    return True
