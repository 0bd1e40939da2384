"""LoRA adapters are merged into their base as peft merges them; what is no LoRA, or has no base, is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.contract.ordinary import GROUPED, ORDINARY, Ordinary, qwen_pieces
from tests.folders import SENTENCES, pictures, randomise, tiny_bert
from torch import Tensor

import classtoken as ct
from classtoken.encoder import adapter as rooms
from classtoken.encoder.adapter import Adapter
from classtoken.encoder.foreign.quietly import quietly
from classtoken.errors import (
    ClasstokenError,
    ContractError,
    ModelError,
    UnsafeCheckpoint,
    UnsupportedModel,
    WeightsError,
)

MODULES = [f"encoder.layer.{i}.attention.self.{part}" for i in range(2) for part in ("query", "value")]
RANK, ALPHA = 4, 16


def drawn(*size: int, seed: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed)) * 0.3


def write(folder: Path, tensors: dict[str, Tensor], **settings: Any) -> Path:
    """An adapter as peft writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    usual = {"peft_type": "LORA", "base_model_name_or_path": "org/base", "r": RANK, "lora_alpha": ALPHA, "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps({**usual, **settings}))
    save_file({f"base_model.model.{name}": t.contiguous() for name, t in tensors.items()}, folder / rooms.WEIGHTS)
    return folder


def low_rank(prefix: str = "", ranks: tuple[int, ...] = (RANK,) * 4) -> dict[str, Tensor]:
    found = {}
    for n, (module, rank) in enumerate(zip(MODULES, ranks, strict=True)):
        found[f"{prefix}{module}.lora_A.weight"] = drawn(rank, 32, seed=n)
        found[f"{prefix}{module}.lora_B.weight"] = drawn(32, rank, seed=n + 50)
    return found


def changed_base(base: Path, target: Path, change: Any) -> Path:
    """The base with its weights changed by hand: the reference."""
    shutil.copytree(base, target)
    weights = load_file(target / "model.safetensors")
    change(weights)
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return target


def vectors(folder: Path) -> np.ndarray:
    return np.asarray(ct.load(folder).embed(SENTENCES, pooling="mean"))


def assert_same(folder: Path, reference: Path) -> None:
    assert np.abs(vectors(folder) - vectors(reference)).max() <= 1e-5


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny_bert(tmp_path / "base")


def add(scale: float, tensors: dict[str, Tensor], prefix: str = "") -> Any:
    def change(weights: dict[str, Tensor]) -> None:
        for module in MODULES:
            a, b = (tensors[f"{prefix}{module}.lora_{x}.weight"] for x in "AB")
            weights[f"{module}.weight"] += scale * b @ a

    return change


@pytest.mark.parametrize(
    ("settings", "scale"), [({}, ALPHA / RANK), ({"use_rslora": True}, ALPHA / RANK**0.5), ({"lora_alpha": 2}, 0.5)]
)
def test_beside_its_base(settings: dict, scale: float, base: Path, tmp_path: Path) -> None:
    wanted = changed_base(base, tmp_path / "wanted", add(scale, low_rank()))
    before = vectors(base)
    write(base, low_rank(), **settings)
    assert_same(base, wanted)
    assert np.abs(vectors(base) - before).max() > 0.1


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["query"]},
        {"target_modules": r".*\.query"},
        {"exclude_modules": ["value"]},
        {"target_modules": "all-linear", "exclude_modules": r".*\.value"},
    ],
)
def test_weights_that_its_settings_leave_out_are_refused(settings: dict, base: Path) -> None:
    write(base, low_rank(), **settings)  # peft would pass them over, with a warning or without
    with pytest.raises(WeightsError, match="target_modules and exclude_modules"):
        ct.load(base)
    write(base, low_rank(), target_modules=["query", "value"], exclude_modules=["dense"])
    assert np.isfinite(vectors(base)).all()


def test_of_a_model_with_a_head_whose_names_have_a_prefix(base: Path, tmp_path: Path) -> None:
    wanted = changed_base(base, tmp_path / "wanted", add(4.0, low_rank()))
    write(base, low_rank("bert."))
    assert_same(base, wanted)


def test_ranks_and_scales_by_module(base: Path, tmp_path: Path) -> None:
    tensors = low_rank(ranks=(2, RANK, 2, RANK))

    def change(weights: dict[str, Tensor]) -> None:
        for n, module in enumerate(MODULES):
            a, b = (tensors[f"{module}.lora_{x}.weight"] for x in "AB")
            rank, alpha = (2, ALPHA) if n % 2 == 0 else (RANK, 3)
            weights[f"{module}.weight"] += alpha / rank * b @ a

    wanted = changed_base(base, tmp_path / "wanted", change)
    write(base, tensors, rank_pattern={"query": 2}, alpha_pattern={r"layer\.\d\.attention\.self\.value": 3})
    assert_same(base, wanted)


@pytest.mark.parametrize("settings", [{"r": 2 * RANK}, {"r": 2, "rank_pattern": {"query": RANK}}])
def test_a_rank_that_the_weights_have_not(settings: dict, base: Path) -> None:
    """The change would be scaled by another rank than it was trained with; peft does not open it either."""
    write(base, low_rank(), **settings)
    with pytest.raises(WeightsError, match=rf"has rank {RANK} for .*adapter_config.json says \d+ \(r, rank_p"):
        ct.load(base)


def test_dora(base: Path, tmp_path: Path) -> None:
    tensors = low_rank()
    lengths = {f"{module}.lora_magnitude_vector": 1 + drawn(32, seed=n).abs() for n, module in enumerate(MODULES)}

    def change(weights: dict[str, Tensor]) -> None:
        add(4.0, tensors)(weights)
        for module in MODULES:
            w = weights[f"{module}.weight"]
            weights[f"{module}.weight"] = (
                lengths[f"{module}.lora_magnitude_vector"][:, None] * w / w.norm(dim=1)[:, None]
            )

    wanted = changed_base(base, tmp_path / "wanted", change)
    write(base, {**tensors, **lengths}, use_dora=True)
    assert_same(base, wanted)


def test_embeddings_biases_and_whole_weights(base: Path, tmp_path: Path) -> None:
    words = len(load_file(base / "model.safetensors")["embeddings.word_embeddings.weight"])
    a, b = drawn(RANK, words, seed=1), drawn(32, RANK, seed=2)
    bias, norm, shift = drawn(32, seed=3), drawn(32, seed=4), drawn(32, seed=5)
    query = MODULES[0]

    def change(weights: dict[str, Tensor]) -> None:
        weights["embeddings.word_embeddings.weight"] += 4 * (b @ a).T
        weights[f"{query}.bias"].copy_(bias)
        weights[f"{MODULES[1]}.bias"] += 4 * shift
        weights["embeddings.LayerNorm.weight"].copy_(norm)

    wanted = changed_base(base, tmp_path / "wanted", change)
    word = "embeddings.word_embeddings"
    tensors = {f"{word}.lora_embedding_A": a, f"{word}.lora_embedding_B": b, f"{query}.base_layer.bias": bias}
    tensors |= {
        f"{MODULES[1]}.lora_A.weight": torch.zeros(RANK, 32),
        f"{MODULES[1]}.lora_B.weight": torch.zeros(32, RANK),
    }
    write(base, {**tensors, f"{MODULES[1]}.lora_B.bias": shift, "embeddings.LayerNorm.weight": norm}, lora_bias=True)
    assert_same(base, wanted)


def test_weights_that_lie_turned(tmp_path: Path) -> None:
    """GPT-2's layers keep (in, out)."""
    name, a, b = "h.0.attn.c_attn", drawn(RANK, 32, seed=1), drawn(96, RANK, seed=2)
    adapter = write(tmp_path / "adapter", {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b}, fan_in_fan_out=True)
    weight = drawn(32, 96, seed=3)
    merged = rooms.AdapterFiles(adapter).on([f"{name}.weight"], "gpt2").applied(f"{name}.weight", weight)
    assert torch.allclose(merged, weight + 4 * (b @ a).T, atol=1e-6)


PEFT_WARNS = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning", "ignore:Setting .save_emb")


@PEFT_WARNS
@pytest.mark.parametrize(
    ("dora", "targets"),
    [(True, ["word_embeddings", "query"]), (True, ["position_embeddings", "token_type_embeddings", "dense"])],
)
def test_tables_of_words_with_trained_lengths(dora: bool, targets: list[str], base: Path, tmp_path: Path) -> None:
    assert_as_peft(base, tmp_path / "adapter", target_modules=targets, use_dora=dora)


@PEFT_WARNS
@pytest.mark.parametrize("dora", [False, True])
def test_a_table_of_words_that_was_kept_whole_is_changed_as_well(dora: bool, tmp_path: Path) -> None:
    """peft keeps the table itself beside its change, where it is called embed_tokens."""
    tokenizer = qwen_pieces()
    tokenizer.save_pretrained(tmp_path / "base")
    config = transformers.Qwen2Config(vocab_size=len(tokenizer), **{**GROUPED, "max_position_embeddings": 256})
    randomise(transformers.Qwen2Model(config)).save_pretrained(tmp_path / "base")  # type: ignore[attr-defined]
    assert_as_peft(tmp_path / "base", tmp_path / "adapter", target_modules=["embed_tokens", "q_proj"], use_dora=dora)
    with safe_open(tmp_path / "adapter" / rooms.WEIGHTS, framework="pt") as file:
        assert "base_model.model.embed_tokens.base_layer.weight" in file.keys()  # noqa: SIM118


def assert_as_peft(base: Path, folder: Path, **settings: Any) -> None:
    """An adapter that peft writes on a base gives the vectors that peft computes."""
    with quietly():
        model = peft.get_peft_model(transformers.AutoModel.from_pretrained(base), peft.LoraConfig(r=4, **settings))
        with torch.no_grad():
            for n, (name, tensor) in enumerate(model.named_parameters()):
                if "lora_" in name:
                    tensor += drawn(*tensor.shape, seed=n)
        model.eval().save_pretrained(folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(base)
        with torch.no_grad():
            ids = [torch.tensor([tokenizer(text, truncation=True)["input_ids"]]) for text in SENTENCES]
            wanted = np.stack([model(input_ids=one).last_hidden_state[0].mean(0) for one in ids])
    assert np.abs(vectors(folder) - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_what_the_base_says_beyond_what_is_understood_counts_for_an_adapter_alone(base: Path, tmp_path: Path) -> None:
    """Its base lies beside it, and so do the files that decide its vectors."""
    write(tmp_path / "alone", low_rank(), base_model_name_or_path="base")
    assert np.isfinite(vectors(tmp_path / "alone")).all()
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "another_key": 1}))
    assert np.isfinite(vectors(tmp_path / "alone")).all()  # the states are transformers' own, so it is harmless
    (base / "config.json").write_text(json.dumps({**config, "is_causal": True}))
    with pytest.raises(ContractError, match="is_causal"):
        ct.load(tmp_path / "alone")
    (base / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps({**tokenizer, "tokenizer_class": "RobertaTokenizer"}))
    with pytest.raises(ContractError, match="tokenizer_class"):
        ct.load(tmp_path / "alone")


def test_lengths_that_the_settings_do_not_speak_of_are_refused(base: Path) -> None:
    lengths = {f"{module}.lora_magnitude_vector": drawn(32, seed=n) for n, module in enumerate(MODULES)}
    write(base, {**low_rank(), **lengths})  # peft would pass them over
    with pytest.raises(WeightsError, match="does not say use_dora"):
        ct.load(base)


def test_on_a_model_that_transformers_computes(base: Path, tmp_path: Path) -> None:

    config = transformers.ErnieConfig(**{**json.loads((base / "config.json").read_text()), "model_type": "ernie"})
    randomise(transformers.ErnieModel(config, add_pooling_layer=False)).save_pretrained(base)
    wanted = changed_base(base, tmp_path / "wanted", add(4.0, low_rank()))
    write(base, low_rank())
    assert_same(base, wanted)
    claims = {claim.subject: claim for tower in ct.inspect(base).towers for claim in tower.claims}
    assert claims["same states as transformers"].value == "yes"


def test_alone_the_base_is_found_beside_it_or_where_it_says(base: Path, tmp_path: Path) -> None:
    wanted = changed_base(base, tmp_path / "wanted", add(4.0, low_rank()))
    assert_same(write(tmp_path / "adapter", low_rank()), wanted)  # 'org/base' lies beside it as 'base'
    assert_same(write(tmp_path / "deep" / "other", low_rank(), base_model_name_or_path=str(base)), wanted)
    again = ct.load(tmp_path / "adapter").save(tmp_path / "saved")
    assert_same(again, wanted)
    assert not (again / "adapter_config.json").exists()


def test_without_its_base_it_says_what_it_is_and_both_ways_work(base: Path, tmp_path: Path) -> None:
    wanted = vectors(changed_base(base, tmp_path / "wanted", add(4.0, low_rank())))
    folder = write(tmp_path / "far" / "adapter", low_rank())
    with pytest.raises(ModelError, match=r"PEFT adapter and no model, and its base 'org/base' is neither") as error:
        ct.load(folder)
    assert "beside it as 'base'" in str(error.value)
    shutil.copytree(base, folder.parent / "base")
    assert np.allclose(vectors(folder), wanted, atol=1e-5)
    shutil.rmtree(folder.parent / "base")
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(base / name, folder / name)
    assert np.allclose(vectors(folder), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"peft_type": "IA3"}, "peft_type 'IA3'.*merge_and_unload"),
        ({"peft_type": "PREFIX_TUNING"}, "PREFIX_TUNING.*no weights of a model can hold"),
        ({"peft_type": "ADAPTION_PROMPT"}, "ADAPTION_PROMPT.*embed with peft itself"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights 'pissa'"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
    ],
)
def test_what_is_not_merged_here_is_named(settings: dict, reason: str, base: Path) -> None:
    write(base, low_rank(), **settings)
    with pytest.raises(UnsupportedModel, match=reason):
        ct.load(base)


def test_an_adapter_of_another_base(base: Path) -> None:
    write(base, {"h.0.attn.lora_A.weight": drawn(4, 32, seed=0), "h.0.attn.lora_B.weight": drawn(32, 4, seed=1)})
    with pytest.raises(WeightsError, match=r"changes h\.0\.attn\.weight, and its base has no weight"):
        ct.load(base)
    write(
        base, {f"{MODULES[0]}.lora_A.weight": drawn(4, 31, seed=0), f"{MODULES[0]}.lora_B.weight": drawn(32, 4, seed=1)}
    )
    with pytest.raises(WeightsError, match="belongs to another base"):
        ct.load(base)


def test_an_adapter_whose_weights_are_a_pickle_or_absent(base: Path) -> None:
    write(base, low_rank())
    (base / rooms.WEIGHTS).rename(base / "adapter_model.bin")
    with pytest.raises(UnsafeCheckpoint, match="pickle"):
        ct.load(base)
    (base / "adapter_model.bin").unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        ct.load(base)


@pytest.mark.parametrize("name", ["left out", "not scaled"])
def test_a_mistake_in_the_merge_is_noticed(
    name: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = vectors(changed_base(base, tmp_path / "wanted", add(4.0, low_rank())))
    write(base, low_rank())
    if name == "left out":
        monkeypatch.setattr(Adapter, "applied", lambda self, name, weight: weight)
    else:
        scale = Adapter._scale
        monkeypatch.setattr(Adapter, "_scale", lambda *given: 0.5 * scale(*given))
    if name == "left out":  # then nobody reads the adapter's settings either
        with pytest.raises(ClasstokenError, match=r"adapter_config\.json\) is not understood"):
            ct.load(base)
    else:
        assert np.abs(vectors(base) - wanted).max() > 0.1


IMAGE_FAMILIES = [one for one in ORDINARY if one.processor is not None and one.tokenizer is None]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for it
@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
@pytest.mark.parametrize("one", IMAGE_FAMILIES, ids=lambda one: one.name)
def test_modules_that_files_call_otherwise(one: Ordinary, dora: bool, tmp_path: Path) -> None:
    """peft writes the modules' names, and transformers 5 calls modules of image models otherwise than its files do."""
    base = one.save(tmp_path / "base")
    model = transformers.AutoModel.from_pretrained(base)
    names = [name for name, part in model.named_modules() if name.endswith(("q_proj", "query", "fc1"))]
    assert names
    settings = peft.LoraConfig(r=4, target_modules=names, init_lora_weights=False, use_dora=dora, bias="all")
    wrapped = peft.get_peft_model(model, settings)
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if name.endswith("bias"):
                weight += 0.1
    wrapped.save_pretrained(tmp_path / "tuned")
    settings_file = tmp_path / "tuned" / "adapter_config.json"
    settings_file.write_text(json.dumps({**json.loads(settings_file.read_text()), "base_model_name_or_path": "base"}))
    merged = shutil.copytree(base, tmp_path / "merged")
    wrapped.merge_and_unload().save_pretrained(merged)
    found, wanted = (ct.load(folder).embed(pictures(), pooling="mean") for folder in (tmp_path / "tuned", merged))
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()
    assert np.abs(found - ct.load(base).embed(pictures(), pooling="mean")).max() > 1e-3
