"""What becomes of one model type: opened here and held against the model that wrote it.

The reference runs every input alone and without padding; here they go in one batch. Advice in a refusal is followed.
"""

import inspect
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tests.encoder.parity import TOLERANCE, relative
from tests.zoo.tiny import VOCABULARY, lacks_a_library, tiny_model
from torch import Tensor, nn

from classtoken.contract.company import settle_company, together
from classtoken.contract.experiments import pictures
from classtoken.contract.model import read_model
from classtoken.contract.reading import Reading
from classtoken.embedder.tower import preprocessor
from classtoken.encoder.foreign.quietly import quietly
from classtoken.errors import ClasstokenError
from classtoken.inputs import one_batch
from classtoken.pooling.spec import parse
from classtoken.tensors import Tokens
from classtoken.values import Role

ADVICE = re.compile(r"AutoModel\.from_pretrained\('FOLDER'\)\.([\w.]+)\.save_pretrained|\.([\w.]+) is its \w+ encoder")
ASKED = re.compile(r"Ask for '([\w@+-]+)'")
NAMED = re.compile(r"Name a `pooling`: (.+)\.$")
#: What a class says to a config whose sizes do not fit together: the tiny model runs nowhere.
TOO_TINY = re.compile(
    r"gives no states of one \w+ alone \(.*(must match|split_sizes|normalized_shape|cannot be multiplied|is invalid for"
    r"|wrong shape|out of range|to have \d+ channels|get_seq_length|Invalid output_size|attn_output|has no len)"
)


@dataclass(frozen=True)
class Outcome:
    """What became of one model type.

    kind: `native` and `foreign` (right), `named` (right once a pooling is named), `part` (refused, and the part that
    the refusal names is right), `refused` (no vector is promised); `not built` (the zoo has no tiny model of it).
    `wrong`, `crash` and `advice` (it was followed, and led nowhere) must not be.
    """

    kind: str
    says: str
    sides: tuple[str, ...] = ()
    """layout and pooling of each"""

    @property
    def right(self) -> bool:
        """Whether vectors come out, and the reference gives the same."""
        return self.kind in ("native", "foreign", "named")

    @property
    def bad(self) -> bool:
        """Whether it must not be."""
        return self.kind in ("wrong", "crash", "advice")


NOT_BUILT = Outcome("not built", "no tiny model of it can be made")


def outcome_of(kind: str) -> Outcome:
    """The outcome of one type, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as place:
        return look_at(kind, Path(place) / "model")


def look_at(kind: str, folder: Path) -> Outcome:
    """Build, save, open and compare one type."""
    model = tiny_model(kind)
    if model is None:
        return _without_library(kind, folder) if lacks_a_library(kind) else NOT_BUILT
    try:
        with quietly():
            model.save_pretrained(folder)  # type: ignore[operator]
    except Exception as error:
        return Outcome("not built", f"it does not save itself: {_line(error, folder)}")
    try:
        return opened(model, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _without_library(kind: str, folder: Path) -> Outcome:
    """What is said to a folder whose model another library has to build."""
    from safetensors.torch import save_file
    from transformers import CONFIG_MAPPING

    CONFIG_MAPPING[kind]().save_pretrained(folder)
    save_file({"nothing": torch.zeros(1)}, folder / "model.safetensors", metadata={"format": "pt"})
    try:
        read_model(folder)
    except ClasstokenError as error:
        return Outcome("refused", _line(error, folder))
    except Exception as error:
        return Outcome("crash", f"{type(error).__name__}: {_line(error, folder)}")
    return NOT_BUILT


def opened(model: nn.Module, folder: Path, *, deeper: bool = True) -> Outcome:
    """A saved model opened here, each of its sides compared with the model itself."""
    try:
        readings = read_model(folder)
        settle_company(folder, readings)
        refusals = [line for reading in readings for line in reading.refusals]
        if refusals:
            return Outcome("refused", refusals[0])
        found = [compared(reading, model, folder) for reading in readings]
    except ClasstokenError as error:
        says = _line(error, folder)
        return _followed(says, model, folder) if deeper else Outcome("refused", says)
    except Exception as error:
        return Outcome("crash", f"{type(error).__name__}: {_line(error, folder)}")
    worst = next((one for one in found if one.bad), found[0])
    return Outcome(worst.kind, worst.says, tuple(side for one in found for side in one.sides))


def _followed(says: str, model: nn.Module, folder: Path) -> Outcome:
    """A refusal whose advice names parts of the model: each is saved by itself and opened."""
    paths = [one or other for one, other in ADVICE.findall(says)]
    asked = ASKED.search(says)
    if asked is not None:
        return _asked(asked[1], says, folder)
    if not paths:
        kind = "not built" if TOO_TINY.search(says) else "refused"
        return Outcome(kind, says)
    for number, path in enumerate(paths):
        place = folder / f"part{number}"
        try:
            part = model.get_submodule(path)
            with quietly():
                part.save_pretrained(place)  # type: ignore[operator]
        except Exception as error:
            return Outcome("advice", f".{path}: {_line(error, folder)}")
        got = opened(part, place, deeper=False)
        if not got.right:
            return Outcome("advice", f".{path}: {got.kind}: {got.says}")
    return Outcome("part", says)


@torch.no_grad()
def _asked(spec: str, says: str, folder: Path) -> Outcome:
    """A refusal that offers another pooling: it gives a vector of every input."""
    try:
        for reading in read_model(folder):
            readout = reading.readout(parse(spec))
            for one in inputs(reading, folder):
                assert torch.isfinite(readout(reading.encoder(one, layers=readout.layers))).all()
    except Exception as error:
        return Outcome("advice", f"{spec}: {_line(error, folder)}")
    return Outcome("refused", says)


def _line(error: BaseException, folder: Path) -> str:
    line = " ".join(str(error).split()).replace(str(folder), "FOLDER") or type(error).__name__
    return re.sub(r"0x[0-9a-f]+", "0x", line)[:400]


@torch.no_grad()
def compared(reading: Reading, model: nn.Module, folder: Path) -> Outcome:
    """One side: states and every vector that is offered, in one batch here and one by one in the reference."""
    kind = "native" if reading.family is not None else "foreign"
    side, features = _side(model, reading.modality)
    batches = inputs(reading, folder)
    outs = [_run(side, one) for one in batches]
    layout = str(reading.encoder.layout)
    batch = batches[0] if len(batches) == 1 else together(batches)
    ours = reading.encoder(batch, layers=(-1,) if reading.family else ())
    worst = max(_states_apart(ours, row, out) for row, out in enumerate(outs))
    if not worst <= TOLERANCE:
        return Outcome("wrong", f"states differ by {worst:.1e}", (layout,))
    specs = _offered(reading.unsettled[0]) if reading.unsettled else (None,)
    for spec in specs:
        readout = reading.readout(None if spec is None else parse(spec))
        vectors = readout(reading.encoder(batch, layers=readout.layers))
        wanted = _wanted(spec or reading.contract.pooling, reading, batches, outs, features)
        if wanted is not None and readout.unit_length:
            wanted = torch.nn.functional.normalize(wanted, dim=-1)
        if wanted is not None and not relative(wanted, vectors) <= TOLERANCE:
            return Outcome("wrong", f"{spec or reading.contract.pooling} differs by {relative(wanted, vectors):.1e}")
    says, pooling = (reading.unsettled or ("",))[0], " or ".join(map(str, specs))
    pooling = pooling if reading.unsettled else reading.contract.pooling
    return Outcome("named" if reading.unsettled else kind, says, (f"{layout}: {pooling}",))


def _offered(says: str) -> tuple[str, ...]:
    found = NAMED.search(says)
    assert found is not None, says
    return tuple(word.strip("' ") for word in found[1].split(" or "))


def _side(model: Any, modality: str) -> tuple[Any, Any]:
    """The reference's module for one side, and what gives its vector where two sides meet."""
    if model.config.is_encoder_decoder:
        return model.get_encoder(), None
    if model.config.model_type == "dpr":  # its own class gives the vector and no states
        return model.question_encoder.bert_model, None
    method = f"get_{modality}_features"
    pair = hasattr(model, "get_text_features") and hasattr(model, "get_image_features")
    if not pair or not (hasattr(model.config, "text_config") and hasattr(model.config, "vision_config")):
        return model, None
    return getattr(model, method), getattr(model, method)


def _run(side: Any, tokens: Tokens) -> Any:
    if tokens.ids_BL is not None:
        return side(input_ids=tokens.ids_BL, attention_mask=torch.ones_like(tokens.ids_BL))
    given: dict[str, Any] = {"pixel_values": tokens.pixels}
    if tokens.grids is not None:
        content = (tokens.roles_BL == Role.CONTENT).long()
        given |= {"pixel_attention_mask": content, "spatial_shapes": torch.tensor(tokens.grids)}
    if (
        "noise" in inspect.signature(getattr(side, "forward", side)).parameters
    ):  # a masked autoencoder sorts patches by it
        given["noise"] = torch.arange(tokens.roles_BL.shape[1] - 1)[None].float()
    return side(**given)


def _states_apart(ours: Any, row: int, out: Any) -> float:
    """Distance of one row from the reference's states, after or before the final norm, whichever it returns."""
    theirs = out.last_hidden_state
    theirs = _listed(theirs)
    keep = ours.roles_BL[row] != Role.PAD
    found = [ours.last_BLD] + ([ours.layers[-1]] if -1 in ours.layers else [])
    return min(relative(theirs, states[row : row + 1, keep]) for states in found)


def _listed(states: Tensor) -> Tensor:
    """States of patches as a list; images here are square, so a map's two equal sizes are its rows and columns."""
    if states.dim() < 4:
        return states
    _, one, two, three = states.shape
    return states.flatten(1, 2) if one == two != three else states.flatten(2).mT


def _wanted(spec: str, reading: Reading, batches: Sequence[Tokens], outs: Sequence[Any], features: Any) -> Any:
    """A vector by its own definition, of the reference's states; None for what only the parity tests know."""
    if spec == "pooler" or features is not None:
        pooled = [getattr(out, "pooler_output", None) for out in outs]
        return None if any(one is None for one in pooled) else torch.cat([one.flatten(1) for one in pooled])
    before_norm = reading.family is not None and reading.family.hidden_state == "before_norm"
    if reading.after or before_norm or spec not in ("cls", "mean", "last"):
        return None
    rows = []
    for tokens, out in zip(batches, outs, strict=True):
        states = _listed(out.last_hidden_state)
        role = Role.CLASS if spec == "cls" else Role.CONTENT
        roles = tokens.roles_BL[0]
        if reading.modality == "image" and len(roles) == states.shape[1]:
            rows.append(states[:, roles == role].mean(1))
        else:
            rows.append({"cls": states[:, 0], "mean": states.mean(1), "last": states[:, -1]}[spec])
    return torch.cat(rows)


def inputs(reading: Reading, folder: Path) -> list[Tokens]:
    """Texts of unlike lengths, or two images, each as a batch of its own."""
    torch.manual_seed(1)
    if reading.modality == "text":
        return list(_texts(reading))
    encoder: Any = reading.encoder
    if reading.family is not None:
        prepared = [one_batch(preprocessor(folder, reading), [picture]) for picture in pictures()]
        if prepared[0].grids is not None:  # patches of any number, cut by the recipe
            return prepared
        shape = (1, encoder.shape.stem.channels, *encoder.shape.stem.image)
        pixels = [torch.randn(shape) for _ in range(2)]
    else:
        pixels = [encoder.random_input(seed)["pixel_values"] for seed in range(2)]
    roles = torch.tensor([[int(role) for role in encoder.layout.roles()]])
    return [Tokens(roles, pixels=one, grid=encoder.layout.grid) for one in pixels]


def _texts(reading: Reading) -> Iterator[Tokens]:
    config = reading.config
    named = [config.get(f"{name}_token_id") for name in ("pad", "bos", "eos", "mask")]
    special = {one for value in named for one in (value if isinstance(value, list) else [value])}
    known = min(VOCABULARY, reading.encoder.vocabulary or VOCABULARY) - 9
    plain = torch.tensor([token for token in range(5, known) if token not in special])
    for length in (7, 12):
        ids = plain[torch.randint(0, len(plain), (1, length))]
        roles = torch.full_like(ids, int(Role.CONTENT))
        roles[0, 0], roles[0, -1] = int(Role.CLASS), int(Role.END)
        end = VOCABULARY - 1 if reading.inputs.end == "highest" else reading.inputs.end_id or config.get("eos_token_id")
        if isinstance(end, int) and 0 <= end < VOCABULARY:
            ids[0, -1] = end
        yield Tokens(roles, ids)
