"""Every key of every file that decides a vector: followed as the reference follows it, harmless, refused, or named."""

import json
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests import folders
from tests.contract.mutated import File, passed_over, seen
from tests.contract.test_sentence_transformers import dense, other, pooling, saved, theirs
from tests.encoder.cases import CASES
from tests.encoder.golden import GOLDEN
from tests.encoder.parity import Bench, Case, family_named, set_up
from tests.encoder.test_adapter import low_rank, write
from tests.folders import SENTENCES
from tests.shares import rotation, shared_out

import classtoken as ct
from classtoken.contract.model import read_model
from classtoken.contract.samples import TRICKY
from classtoken.contract.unread import unread
from classtoken.encoder.foreign.quietly import quietly
from classtoken.errors import UnsupportedModel
from classtoken.model_folder import watching
from classtoken.tensors import Tokens
from classtoken.tokens.text import TextPreprocessor

#: Every so many cases and keys are tried in each run of the tests; all of them by `make soak`.
CASES_OF, KEYS_OF = 15, 6
#: The reference drops patches at random; what only a classifier reads, and no state.
SPARED = ("mask_ratio", "mask_feature_prob", "mask_time_prob", "classifier_pooling")
#: Of a classifier of images whose config describes a text side that its file does not hold.
OTHER_SIDE = frozenset({"text_config.*"})


def every() -> dict[str, int]:
    """All keys in the long run, a share of them else."""
    return {"every": KEYS_OF, "first": rotation() % KEYS_OF}


# -- config.json of every family --------------------------------------------------------------------------------------


def states_here(bench: Bench) -> tuple[np.ndarray, Sequence[str]]:
    with watching() as opened:
        readings = read_model(bench.folder)
    family = family_named(bench.case.family)
    reading = next((one for one in readings if one.family and one.family.name == family.name), readings[0])
    more = frozenset(key for one in readings if one.family for key in one.family.harmless)
    found = reading.encoder(bench.inputs.tokens, layers=(-1,))
    last = found.layers[-1] if family.hidden_state == "before_norm" else found.last_BLD
    numbers = last[bench.inputs.tokens.mask_BL].flatten().numpy()
    if bench.case.respell is not None:  # nobody to ask: what inputs are prepared by counts too
        numbers = np.concatenate([numbers, [float(ord(letter)) for letter in repr(reading.inputs)]])
    return numbers, [one.key for one in unread(bench.folder, opened, more)]


@torch.no_grad()
def states_there(bench: Bench) -> np.ndarray:
    with quietly():
        made: Any = type(bench.case.build())
        model = made.from_pretrained(bench.folder, local_files_only=True).eval()
    last = bench.case.tower(model)(**bench.inputs.reference).last_hidden_state
    return np.asarray(last[bench.inputs.tokens.mask_BL].flatten().numpy())


def config_of(case: Case, folder: Path) -> File:
    bench = set_up(case, folder)
    place, family = folder / "config.json", family_named(case.family)
    with torch.no_grad():
        return File(
            place,
            "encoder",
            lambda: seen(lambda: states_here(bench)),
            None if case.respell else lambda: states_there(bench),
            frozenset(family.harmless) | (OTHER_SIDE if family.modality == "image" else frozenset()),
            (*SPARED, *_as_before(bench)),
        )


def _as_before(bench: Bench) -> list[str]:
    """Keys of a config in another spelling that are spelled as ever: tried in the case that has a reference."""
    if bench.case.respell is None:
        return []
    ever = bench.case.build().config.to_dict()  # type: ignore[operator, union-attr]
    spelled = json.loads((bench.folder / "config.json").read_text())
    return [key for key, value in spelled.items() if key in ever and ever[key] == value]


@pytest.mark.parametrize("case", shared_out(CASES, CASES_OF, [case.name for case in CASES]))
@torch.no_grad()
def test_a_share_of_the_keys_of_a_config(case: Case, tmp_path: Path) -> None:
    assert passed_over(config_of(case, tmp_path), **every()) == []


@pytest.mark.soak
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@torch.no_grad()
def test_every_key_of_a_config(case: Case, tmp_path: Path) -> None:
    assert passed_over(config_of(case, tmp_path)) == []


# -- the files around it ----------------------------------------------------------------------------------------------


def named_in(folder: Path) -> list[str]:
    """Keys that `inspect` lists as not understood."""
    claims = ct.inspect(folder, verify=False).claims
    return [claim.value.split(" = ")[0] for claim in claims if claim.subject == "not understood"]


def embedded(folder: Path, items: list[Any]) -> tuple[np.ndarray, Sequence[str]]:
    return np.asarray(ct.load(folder).embed(items)), named_in(folder)


def ids_here(folder: Path) -> tuple[np.ndarray, Sequence[str]]:
    prepare = ct.load(folder).towers["text"].prepare
    assert isinstance(prepare, TextPreprocessor)
    rows = prepare.encode(TRICKY)
    return padded([list(row.ids) for row in rows]), named_in(folder)


def ids_there(folder: Path) -> np.ndarray:
    from transformers import AutoTokenizer

    with quietly():
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return padded([list(tokenizer(text, truncation=True)["input_ids"]) for text in TRICKY])


def padded(rows: list[list[int]]) -> np.ndarray:
    longest = max(map(len, rows))
    return np.array([row + [-1] * (longest - len(row)) for row in rows])


def tokenizer_file(name: str, folder: Path) -> File:
    folders.tiny_bert(folder)
    ours, theirs = lambda: seen(lambda: ids_here(folder)), lambda: ids_there(folder)
    # two pieces of one number, which no tokenizer has: which of them is spelled is anybody's guess
    return File(folder / name, "tokenizer", ours, theirs, spared=("[CLS]", "[SEP]"))


def pixels_here(folder: Path) -> tuple[np.ndarray, Sequence[str]]:
    tokens = ct.load(folder).towers["image"].tokens(folders.pictures())
    assert tokens.pixels is not None
    return tokens.pixels.numpy(), named_in(folder)


def pixels_there(folder: Path) -> np.ndarray:
    from transformers import AutoImageProcessor

    with quietly():
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    return np.asarray(processor(folders.pictures(), return_tensors="np")["pixel_values"])


def preprocessor_file(kind: str, folder: Path) -> File:
    import transformers

    folders.tiny_vit(folder)
    size = {"height": 32, "width": 32}
    options: dict[str, Any] = {"size": size} | ({"crop_size": size} if kind != "ViTImageProcessor" else {})
    if kind in ("CLIPImageProcessor", "BitImageProcessor"):
        options["size"] = {"shortest_edge": 36}
    (folder / "preprocessor_config.json").unlink()
    getattr(transformers, kind)(**options).save_pretrained(folder)
    place = next(folder / n for n in ("preprocessor_config.json", "processor_config.json") if (folder / n).is_file())
    return File(place, "pixels", lambda: seen(lambda: pixels_here(folder)), lambda: pixels_there(folder))


def sentence_file(name: str, folder: Path) -> File:
    base = folders.tiny_bert(folder.parent / f"{folder.name}-base")
    chain = [pooling(), dense(32, 24), other("Normalize"), other("LayerNorm", 24)]
    saved(folder, base, *chain, prompts={"query": "the red "}, default_prompt_name="query")
    return File(
        folder / name,
        "readout" if name != "sentence_bert_config.json" else "calls",
        lambda: seen(lambda: embedded(folder, SENTENCES)),
        lambda: theirs(folder, SENTENCES),
    )


def adapter_file(folder: Path) -> File:
    folders.tiny_bert(folder, pooler=False)
    settings = {"use_rslora": False, "use_dora": False, "rank_pattern": {}, "alpha_pattern": {}, "lora_bias": False}
    settings |= {"fan_in_fan_out": False, "target_modules": ["query", "value"], "lora_dropout": 0.0}
    settings |= {"task_type": "FEATURE_EXTRACTION", "inference_mode": True, "init_lora_weights": True}
    settings |= {"layers_to_transform": None, "modules_to_save": None, "layer_replication": None}
    write(folder, low_rank(), **settings)
    base = folders.tiny_bert(folder.parent / "base", pooler=False)
    return File(
        folder / "adapter_config.json",
        "adapter",
        lambda: seen(lambda: embedded(folder, SENTENCES)),
        lambda: merged_there(base, folder),
    )


@torch.no_grad()
def merged_there(base: Path, adapter: Path) -> np.ndarray:
    """The mean over the states that peft's merged model gives."""
    from peft import PeftModel
    from transformers import AutoModel, AutoTokenizer

    with quietly(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = PeftModel.from_pretrained(AutoModel.from_pretrained(base), adapter).merge_and_unload().eval()
    tokens = AutoTokenizer.from_pretrained(base)(SENTENCES, padding=True, return_tensors="pt")
    mask = tokens["attention_mask"][..., None]
    return np.asarray(((model(**tokens).last_hidden_state * mask).sum(1) / mask.sum(1)).numpy())


def published_file(name: str, folder: Path) -> File:
    """timm's and open_clip's: the vectors here stand for themselves."""
    shutil.copytree(GOLDEN / name, folder)
    place = next(folder / n for n in ("open_clip_config.json", "config.json") if (folder / n).is_file())
    return File(place, "encoder", lambda: seen(lambda: towers_here(folder)))


@torch.no_grad()
def towers_here(folder: Path) -> tuple[np.ndarray, Sequence[str]]:
    """Every side's contract, its vector of one input, and how images are prepared."""
    from classtoken.embedder.tower import preprocessor

    with watching() as opened:
        readings = read_model(folder)
        recipes = [preprocessor(folder, one).describe() for one in readings if one.modality == "image"]
    found = []
    for reading in readings:
        readout = reading.readout()
        found.append(readout(reading.encoder(one_input(reading), layers=readout.layers)).flatten().numpy())
    found.append(np.array([float(ord(letter)) for letter in "".join(recipes)]))
    return np.concatenate(found), [one.key for one in unread(folder, opened)]


def one_input(reading: Any) -> Tokens:
    torch.manual_seed(0)
    encoder = reading.encoder
    if reading.modality == "image":
        roles = torch.tensor([[int(role) for role in encoder.layout.roles()]])
        stem = encoder.shape.stem
        return Tokens(roles, pixels=torch.randn(1, stem.channels, *stem.image), grid=encoder.layout.grid)
    ids = torch.randint(1, encoder.vocabulary - 1, (1, min(8, encoder.positions)))
    ids[0, -1] = encoder.vocabulary - 1
    from classtoken.values import Role

    roles = torch.full_like(ids, int(Role.CONTENT))
    roles[0, -1] = int(Role.END)
    return Tokens(roles, ids)


def index_file(folder: Path) -> File:
    folders.tiny_bert(folder)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names, places = sorted(weights), {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-{number:05d}-of-00002.safetensors"
        save_file({name: weights[name] for name in part}, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(part, file)
    place = folder / "model.safetensors.index.json"
    place.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    sizes = frozenset({"metadata.total_size"})
    return File(place, "encoder", lambda: seen(lambda: embedded(folder, SENTENCES)), harmless=sizes)


FILES: dict[str, Callable[[Path], File]] = {
    "tokenizer_config.json": lambda folder: tokenizer_file("tokenizer_config.json", folder),
    "tokenizer.json": lambda folder: tokenizer_file("tokenizer.json", folder),
    **{
        f"preprocessor_config.json of {kind}": lambda folder, kind=kind: preprocessor_file(kind, folder)  # type: ignore[misc]
        for kind in ("ViTImageProcessor", "CLIPImageProcessor", "BitImageProcessor", "SiglipImageProcessor")
    },
    "preprocessor_config.json of DeiTImageProcessor": lambda folder: preprocessor_file("DeiTImageProcessor", folder),
    **{
        f"{name} of sentence-transformers": lambda folder, name=name: sentence_file(name, folder)  # type: ignore[misc]
        for name in (
            *("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"),
            *("1_Pooling/config.json", "2_Dense/config.json", "4_LayerNorm/config.json"),
        )
    },
    "adapter_config.json": adapter_file,
    **{
        f"config.json of timm's {path.name}": lambda folder, path=path: published_file(f"timm/{path.name}", folder)  # type: ignore[misc]
        for path in sorted((GOLDEN / "timm").iterdir())
    },
    **{
        f"open_clip_config.json of {path.name}": lambda folder, path=path: published_file(  # type: ignore[misc]
            f"open_clip/{path.name}", folder
        )
        for path in sorted((GOLDEN / "open_clip").iterdir())
    },
    "index of the weights": index_file,
}


@pytest.mark.parametrize("name", shared_out(list(FILES), 8, list(FILES)))
def test_a_share_of_the_keys_of_a_file(name: str, tmp_path: Path) -> None:
    assert passed_over(FILES[name](tmp_path / "model"), **every()) == []


@pytest.mark.soak
@pytest.mark.parametrize("name", FILES)
def test_every_key_of_a_file(name: str, tmp_path: Path) -> None:
    assert passed_over(FILES[name](tmp_path / "model")) == []


@pytest.mark.parametrize(("metadata", "says"), [({"format": "tf"}, "format 'tf'"), ({"format": "pt", "x": "1"}, "")])
def test_the_header_of_the_weights(metadata: dict[str, str], says: str, tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path)
    before = ct.load(folder).embed(SENTENCES)
    save_file(load_file(folder / "model.safetensors"), folder / "model.safetensors", metadata=metadata)
    if says:
        with pytest.raises(UnsupportedModel, match=says):
            ct.load(folder)
    else:
        assert np.array_equal(ct.load(folder).embed(SENTENCES), before)
