"""The readout and head that classtoken saves beside an encoder: `classtoken.json` and `classtoken.safetensors`.

classtoken.json          {"format": 1,
                          "readout": {"pooling": "cls", "unit_length": false, "poolings": {SPEC: {...arguments}}},
                          "modality": "text",
                          "head": {"kind": "linear", "size": 192, "classes": 10, ...} | null,
                          "labels": [...], "multilabel": false, "temperature": 1.0,
                          "label_names": {"0": "negative", ...}, "training": {...}}
`modality` stands there where the folder holds a model of two sides, and all this is one side's alone.

classtoken.safetensors   `poolings.SPEC.NAME` and `head.NAME`, where the readout or the head has weights; `typical.NAME`
                         where it is known how typical a vector is of the labels (`readout.typical`)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from classtoken.errors import ModelError, WeightsError
from classtoken.files import whole_file, write_text
from classtoken.head import make_head
from classtoken.model_folder import read_json
from classtoken.plain import to_json
from classtoken.pooling.build import make
from classtoken.pooling.spec import parse
from classtoken.readout.typical import Typical

FORMAT = 1
SETTINGS, WEIGHTS = "classtoken.json", "classtoken.safetensors"
TYPICAL = "typical."


@dataclass(frozen=True)
class SavedReadout:
    """What stands in the two files, as modules and values.

    `pooling_arguments` and `head_arguments` are what builds the modules again, in `make` and `make_head`;
    `label_names` is what labels were called in the data that was learned from, where they were given other names.
    """

    pooling: str
    unit_length: bool = False
    learned: Mapping[str, nn.Module] = field(default_factory=dict)
    pooling_arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    head: nn.Module | None = None
    head_arguments: Mapping[str, Any] | None = None
    labels: tuple[str, ...] = ()
    multilabel: bool = False
    temperature: float = 1.0
    label_names: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    typical: Typical | None = None
    modality: str = ""
    """whose readout and head these are in a folder of two sides; empty: of every encoder that is there"""


def write_saved(folder: Path, saved: SavedReadout) -> None:
    """Write both files (the second only where there are weights), in 32 bits: what a spread is divided by, in a head on
    standardised vectors too, is beyond 16."""
    settings = {
        "format": FORMAT,
        "readout": {
            "pooling": saved.pooling,
            "unit_length": saved.unit_length,
            "poolings": {spec: dict(arguments) for spec, arguments in saved.pooling_arguments.items()},
        },
        **({"modality": saved.modality} if saved.modality else {}),
        "head": None if saved.head_arguments is None else dict(saved.head_arguments),
        "labels": list(saved.labels),
        "multilabel": saved.multilabel,
        "temperature": saved.temperature,
        **({"label_names": dict(saved.label_names)} if saved.label_names else {}),
        "training": dict(saved.training),
    }
    write_text(folder / SETTINGS, to_json(settings, indent=2) + "\n")
    weights: dict[str, Tensor] = {}
    for spec, module in saved.learned.items():
        weights |= {f"poolings.{spec}.{name}": t for name, t in module.state_dict().items()}
    if saved.head is not None:
        weights |= {f"head.{name}": t for name, t in saved.head.state_dict().items()}
    if saved.typical is not None:
        weights |= {f"{TYPICAL}{name}": t for name, t in saved.typical.state_dict().items()}
    if weights:
        with whole_file(folder / WEIGHTS) as temporary:
            save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path) if path.exists() else {}
    except (SafetensorError, OSError) as error:
        why = "it is a folder" if path.is_dir() else error  # which the library calls no such device
        raise WeightsError(f"{path} cannot be read ({why}). Copy the file again.") from error


def read_saved(folder: Path) -> SavedReadout | None:
    """Read both files; None where there is none. Raises `ModelError` or `WeightsError` where they are broken."""
    settings = read_json(folder / SETTINGS)
    if settings is None:
        return None
    if settings.get("format") != FORMAT:
        raise ModelError(
            f"{folder / SETTINGS} has format {settings.get('format')!r}; this version reads {FORMAT}. Update it."
        )
    weights = _read(folder / WEIGHTS)
    readout = settings["readout"]
    arguments = readout.get("poolings", {})
    learned = {}
    for spec, given in arguments.items():
        module = make(parse(spec).terms[0], **given)
        _fill(module, weights, f"poolings.{spec}.", folder)
        learned[spec] = module
    head = None
    if settings.get("head"):
        head = make_head(**settings["head"])
        _fill(head, weights, "head.", folder)
    return SavedReadout(
        pooling=readout["pooling"],
        unit_length=bool(readout.get("unit_length", False)),
        learned=learned,
        pooling_arguments=arguments,
        head=head,
        head_arguments=settings.get("head"),
        labels=tuple(settings.get("labels", ())),
        multilabel=bool(settings.get("multilabel", False)),
        temperature=float(settings.get("temperature", 1.0)),
        label_names=settings.get("label_names", {}),
        training=settings.get("training", {}),
        typical=_typical(weights, folder),
        modality=str(settings.get("modality", "")),
    )


def _typical(weights: Mapping[str, Tensor], folder: Path) -> Typical | None:
    own = {name.removeprefix(TYPICAL): t for name, t in weights.items() if name.startswith(TYPICAL)}
    if not own:
        return None
    wanted = ("centres_CV", "whitening_VV", "distances_N")
    if sorted(own) != sorted(wanted):
        raise WeightsError(
            f"{folder / WEIGHTS} holds {', '.join(TYPICAL + n for n in sorted(own))}; {wanted} belong together."
        )
    return Typical(*(own[name] for name in wanted)).eval()


def _fill(module: nn.Module, weights: Mapping[str, Tensor], prefix: str, folder: Path) -> None:
    own = {name.removeprefix(prefix): t.float() for name, t in weights.items() if name.startswith(prefix)}
    wanted = module.state_dict()
    lost: Sequence[str] = sorted(wanted.keys() ^ own.keys())
    if lost and not weights:
        raise WeightsError(f"{folder / WEIGHTS} is not there, and {SETTINGS} needs it. Copy the file too.")
    if lost:
        raise WeightsError(f"{folder / WEIGHTS} does not fit {SETTINGS}: {', '.join(prefix + n for n in lost[:6])}.")
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        raise WeightsError(
            f"{folder / WEIGHTS} does not fit {SETTINGS}: {str(error).splitlines()[-1].strip()}"
        ) from error
    module.eval()
