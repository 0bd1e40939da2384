"""Folders that are tampered with, each with what the library that it was made for gives: the reference of the test."""

import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as hf
from tests import folders
from tests.contract.ordinary import ORDINARY, Ordinary
from tests.contract.test_sentence_transformers import dense, other, pooling, saved
from tests.encoder.golden import GOLDEN
from tests.encoder.test_adapter import low_rank, write
from torch import Tensor

import classtoken as ct
from classtoken.embedder.loading import open_model
from classtoken.embedder.spec import ModelSpec
from classtoken.encoder.foreign.quietly import quietly
from classtoken.model_folder import transformer_folder

#: Numbers by what they are of: a side, a prompt, an output.
Numbers = dict[str, list[np.ndarray]]
TEXTS = (
    "the cat sits on a mat",
    "Zebra, NAÏVE  café 12,345.67 [SEP] </s> 你好",
    "a dog runs and " * 20 + "the red bird",
)


@dataclass(frozen=True)
class Untampered:
    """A folder before anything is done to it: how it is made, opened here, and opened in its own library.

    `theirs` is None where that library is not installed here: then only refusals and tracebacks are looked at.
    """

    name: str
    make: Callable[[Path], Path]
    ours: Callable[[Path], Numbers]
    theirs: Callable[[Path], Numbers] | None


def pictures() -> list[Any]:
    return [*folders.pictures(1, (40, 50)), *folders.pictures(1, (61, 37)), *folders.pictures(1, (32, 32))]


def named_in(folder: Path, pooling: str | None = None) -> str:
    """All that `inspect` calls not understood, disputed or refuted, and what the first load says of the files."""
    found = ct.inspect(folder, verify=False)
    sides = open_model(ModelSpec(str(folder), pooling)).towers.values()
    said = [
        str(claim) for claim in found.claims if claim.verdict in ("disputed", "refuted") or "not und" in claim.subject
    ]
    notes = [note for side in sides for part in ("recipe", "tokenizer") for note in _notes(side.prepare, part)]
    return " ".join([*said, *found.notes, *notes])


def done_by(folder: Path) -> list[str]:
    """What `inspect` says is done with an input: its preprocessing, and the contract of every side."""
    return [f"{side.preprocessing} {side.contract}" for side in ct.inspect(folder, verify=False).towers]


def _notes(prepare: Any, part: str) -> Sequence[str]:
    return getattr(getattr(prepare, part, None), "notes", ())


# -- transformers ------------------------------------------------------------------------------------------------------


def ordinary(one: Ordinary) -> Untampered:
    meets = one.name in ("clip", "siglip")

    def ours(folder: Path) -> Numbers:
        embedder, found = ct.load(folder, pooling=one.pooling), {}
        for side in embedder.towers:
            if one.name == "siglip" and side == "text":
                continue  # always padded, by whoever calls: compared in tests/tokens
            items = pictures() if side == "image" else TEXTS
            found[side] = [
                np.asarray(embedder.embed([item], modality=side) if meets else embedder.states([item]).last_BLD)
                for item in items
            ]
        return found

    def theirs(folder: Path) -> Numbers:
        with quietly():
            model = whole_model(hf.AutoModel, folder)
            if hasattr(model, "get_image_features"):
                return _two_sides(model, folder, text=one.name != "siglip")
            side = model.encoder if hasattr(model, "decoder") else model
            given = _texts(folder, model) if one.tokenizer is not None else _images(folder)
            modality = "text" if one.tokenizer is not None else "image"
            return {modality: [side(**inputs).last_hidden_state.numpy() for inputs in given]}

    return Untampered(one.name, one.save, ours, torch.no_grad()(theirs))


def whole_model(kind: Any, folder: Path) -> Any:
    """A model of transformers; one whose weights it had to make up is no reference."""
    options = {"local_files_only": True, "dtype": torch.float32, "output_loading_info": True}
    model, report = kind.from_pretrained(folder, **options)
    lost = [name for name in report["missing_keys"] if "pool" not in name and not name.startswith("decoder.")]
    assert not lost, f"made up: {lost}"
    return model.eval()


def _two_sides(model: Any, folder: Path, *, text: bool) -> Numbers:
    def unit(found: Any) -> np.ndarray:
        return torch.nn.functional.normalize(getattr(found, "pooler_output", found), dim=-1).numpy()

    found = {"image": [unit(model.get_image_features(**inputs)) for inputs in _images(folder)]}
    if text:
        found["text"] = [unit(model.get_text_features(**inputs)) for inputs in _texts(folder, model)]
    return found


def _texts(folder: Path, model: Any) -> Iterator[dict[str, Tensor]]:
    tokenizer = hf.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    config = getattr(model.config, "text_config", model.config)
    room = int(getattr(config, "max_position_embeddings", None) or 10_000)
    if type(model).__name__ in ("RobertaModel", "XLMRobertaModel", "MPNetModel"):
        room -= int(config.pad_token_id) + 1
    for text in TEXTS:
        yield tokenizer(text, return_tensors="pt", truncation=True, max_length=min(tokenizer.model_max_length, room))


def _images(folder: Path) -> Iterator[dict[str, Tensor]]:
    processor = hf.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    for picture in pictures():
        yield {"pixel_values": processor(picture, return_tensors="pt")["pixel_values"]}


def classifying(name: str, make: Callable[[Path], Path], text: bool) -> Untampered:
    def ours(folder: Path) -> Numbers:
        embedder = ct.load(folder)
        return {"logits": [embedder.logits([item]) for item in (TEXTS if text else pictures())]}

    def theirs(folder: Path) -> Numbers:
        kind = hf.AutoModelForSequenceClassification if text else hf.AutoModelForImageClassification
        with quietly():
            model = whole_model(kind, folder)
            given = _texts(folder, model) if text else _images(folder)
            return {"logits": [model(**inputs).logits.numpy() for inputs in given]}

    return Untampered(name, make, ours, torch.no_grad()(theirs))


# -- sentence-transformers ---------------------------------------------------------------------------------------------


def sentences(name: str, base: Callable[[Path], Path], chain: Callable[[], list[Any]], **settings: Any) -> Untampered:
    """A folder of sentence-transformers: vectors by every prompt that it has, and by none."""

    def make(folder: Path) -> Path:
        inner = base(folder.parent / f"{folder.name}-base")
        saved(folder, inner, *chain(), **settings)
        shutil.rmtree(inner)
        return folder

    def ours(folder: Path) -> Numbers:
        embedder = ct.load(folder)
        if "image" in embedder.towers:
            return {"": [embedder.embed([picture]) for picture in pictures()]}
        prompts = embedder.tower("text").prepare.recipe.prompts  # type: ignore[attr-defined]
        names = (None, *(key for key, text in prompts.items() if text))
        return {str(name): [embedder.embed([text], prompt=name) for text in TEXTS] for name in names}

    def theirs(folder: Path) -> Numbers:
        from sentence_transformers import SentenceTransformer

        with quietly(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole_model(hf.AutoModel, transformer_folder(folder))
            model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
            if not (folder / "tokenizer.json").is_file() and "vit" in name:
                return {"": [model.encode([picture]) for picture in pictures()]}  # type: ignore[list-item]
            names = (None, *(key for key, text in model.prompts.items() if text))
            return {str(one): [model.encode([text], prompt_name=one) for text in TEXTS] for one in names}

    return Untampered(name, make, ours, theirs)


def named(name: str) -> Callable[[Path], Path]:
    return next(one.save for one in ORDINARY if one.name == name)


PROMPTS = {"query": "the red ", "document": "a cat: "}


def chains() -> Iterator[Untampered]:
    for mode in ("cls", "mean", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens"):
        yield sentences(f"st bert {mode}", named("bert"), lambda mode=mode: [pooling(mode), other("Normalize")])
    yield sentences("st mpnet mean", named("mpnet"), lambda: [pooling("mean"), other("Normalize")])
    yield sentences("st roberta cls", named("roberta"), lambda: [pooling("cls")], prompts=PROMPTS)
    yield sentences("st distilbert dense", named("distilbert"), lambda: [pooling(), dense(32, 16), other("Normalize")])
    yield sentences("st xlm-roberta", named("xlm-roberta"), lambda: [pooling(), other("Normalize"), dense(32, 16)])
    yield sentences("st modernbert", named("modernbert"), lambda: [pooling(("cls", "mean"))], truncate_dim=40)
    yield sentences(
        "st qwen3 last", named("qwen3"), lambda: [pooling("lasttoken"), other("Normalize")], prompts=PROMPTS
    )
    yield sentences(
        "st prompts left out",
        named("bert"),
        lambda: [pooling("mean", include_prompt=False), dense(32, 24), other("LayerNorm", 24), other("Normalize")],
        prompts=PROMPTS,
        default_prompt_name="query",
    )
    yield sentences(
        "st dense on tokens",
        named("bert"),
        lambda: [
            dense(32, 24, module_input_name="token_embeddings"),
            pooling("mean", 24),
            dense(24, 24, use_residual=True),
        ],
    )
    yield sentences("st vit", lambda folder: folders.tiny_vit(folder, pooler=False), lambda: [pooling("mean")])


# -- adapters, other layouts -------------------------------------------------------------------------------------------


def with_adapter(folder: Path) -> Path:
    """A BERT and an adapter beside it, with the keys that peft writes."""
    folders.tiny_bert(folder, pooler=False)
    settings = {"use_rslora": False, "use_dora": False, "rank_pattern": {}, "alpha_pattern": {}, "lora_bias": False}
    settings |= {"fan_in_fan_out": False, "target_modules": ["query", "value"], "lora_dropout": 0.0}
    settings |= {"task_type": "FEATURE_EXTRACTION", "inference_mode": True, "init_lora_weights": True}
    settings |= {"layers_to_transform": None, "modules_to_save": None, "layer_replication": None}
    return write(folder, low_rank(), **settings)


def merged(folder: Path) -> Numbers:
    """What peft's merged model gives."""
    from peft import PeftModel

    base = folder.parent / f"{folder.name}-base"
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir()
    for file in folder.iterdir():
        if not file.name.startswith("adapter"):
            shutil.copy(file, base)
    with quietly(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(hf.AutoModel.from_pretrained(base), folder).merge_and_unload().eval()
        assert not any("missing adapter keys" in str(one.message) for one in said)
        return {"text": [model(**inputs).last_hidden_state.numpy() for inputs in _texts(folder, model)]}


def states_here(folder: Path) -> Numbers:
    embedder = ct.load(folder)
    return {"text": [embedder.states([text]).last_BLD.numpy() for text in TEXTS]}


def published(path: Path) -> Untampered:
    """A folder that timm or open_clip wrote."""

    def make(folder: Path) -> Path:
        shutil.copytree(path, folder, ignore=shutil.ignore_patterns("golden.*"))
        if path.parent.name == "open_clip":
            folders.bert_tokenizer(folder)
        return folder

    def ours(folder: Path) -> Numbers:
        embedder = ct.load(folder)
        return {side: list(embedder.embed(pictures(), modality=side)) for side in embedder.towers if side == "image"}

    return Untampered(f"{path.parent.name} {path.name}", make, ours, None)


EVERY: tuple[Untampered, ...] = (
    *(ordinary(one) for one in ORDINARY),
    classifying("bert classifier", lambda folder: folders.tiny_bert(folder, head=True), text=True),
    classifying("vit classifier", lambda folder: folders.tiny_vit(folder, head=True), text=False),
    *chains(),
    Untampered("lora", with_adapter, states_here, torch.no_grad()(merged)),
    *(published(path) for path in sorted((GOLDEN / "timm").iterdir())[::4]),
    *(published(path) for path in sorted((GOLDEN / "open_clip").iterdir())[::2]),
)
