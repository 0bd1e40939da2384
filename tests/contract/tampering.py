"""What may have happened to a model folder: keys, files, weights, tokenizers and modules changed, drawn from a seed."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tests.contract.mutated import Keys, keys_of, name_of, other
from torch import Tensor

#: A change: what it did in words, or None where there is nothing of its kind to change. The words name keys and files.
Change = Callable[[Path, Random], str | None]
ODD: tuple[Any, ...] = (None, True, False, 0, 1, -1, 2, 0.5, 1e-6, 1e30, "", "x", [], {}, [1, 2], {"a": 1}, "None", "2")
#: Word pieces and processors live in files of their own; what would only make them another model's is not tried.
VOCABULARIES = ("tokenizer.json", "vocab.json")


def json_files(folder: Path) -> list[Path]:
    """Every JSON file of a folder but those of vocabularies."""
    return sorted(path for path in folder.rglob("*.json") if path.name not in VOCABULARIES)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def put(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


# -- keys --------------------------------------------------------------------------------------------------------------


def _placed(folder: Path, random: Random) -> tuple[Path, Any, Keys] | None:
    files = [path for path in json_files(folder) if isinstance(read(path), dict | list) and read(path)]
    if not files:
        return None
    path = random.choice(files)
    value = read(path)
    places = list(keys_of(value))
    return (path, value, random.choice(places)) if places else None


def _inside(value: Any, at: Keys) -> Any:
    for key in at[:-1]:
        value = value[key]
    return value


def key_removed(folder: Path, random: Random) -> str | None:
    found = _placed(folder, random)
    if found is None:
        return None
    path, value, at = found
    del _inside(value, at)[at[-1]]
    put(path, value)
    return f"{path.name}: {name_of(at)} removed"


def key_renamed(folder: Path, random: Random) -> str | None:
    found = _placed(folder, random)
    if found is None or not isinstance(found[2][-1], str):
        return None
    path, value, at = found
    place = _inside(value, at)
    new = random.choice([f"{at[-1]}_", f"_{at[-1]}", at[-1].upper(), at[-1].rstrip("s"), f"{at[-1]}s"])
    place[new] = place.pop(at[-1])
    put(path, value)
    return f"{path.name}: {name_of(at)} renamed {new}"


def key_changed(folder: Path, random: Random) -> str | None:
    found = _placed(folder, random)
    if found is None:
        return None
    path, value, at = found
    place = _inside(value, at)
    before = place[at[-1]]
    after = random.choice([other(before, at[-1]), other(before, at[-1]), random.choice(ODD)])
    # transformers 5 takes no whole number where it expects another one, which says nothing about what it is
    place[at[-1]] = float(after) if isinstance(before, float) and type(after) is int else after
    put(path, value)
    return f"{path.name}: {name_of(at)} {json.dumps(before)[:40]} -> {json.dumps(place[at[-1]])[:40]}"


#: What authors write: by the file, each key with values. `module`: of sentence-transformers; `beside`: whole files.
WRITTEN: Mapping[str, Mapping[str, list[Any]]] = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
TYPES = (
    *("Bert", "Roberta", "MPNet", "DistilBert", "ModernBert", "Electra", "Albert", "DebertaV2", "T5", "Qwen3", "XLNet"),
    *("Mistral", "Gemma3Text", "GPT2", "ViT", "DeiT", "Dinov2", "Beit", "Swin", "ConvNext", "CLIPText", "SiglipVision"),
)


@cache
def known(file: str) -> tuple[tuple[str, Any], ...]:
    """Keys that such a file may have, with values; for config.json those of many config classes too."""
    import transformers as hf

    found = [(key, one) for key, values in WRITTEN.get(file, {}).items() for one in values]
    if file == "config.json":
        configs: dict[str, Any] = {}
        for name in TYPES:
            configs |= getattr(hf, f"{name}Config")().to_dict()
        found += sorted(configs.items(), key=lambda item: item[0])
    return tuple(found) or (("another_key", 3),)


def key_added(folder: Path, random: Random) -> str | None:
    files = [path for path in json_files(folder) if isinstance(read(path), dict) or path.name == "modules.json"]
    path = random.choice(files) if files else None
    if path is None:
        return None
    own = path.parent != folder and path.name == "config.json" and not (path.parent / "modules.json").exists()
    key, value = random.choice(known("module" if own else path.name))
    whole = read(path)
    place = random.choice(whole) if isinstance(whole, list) and whole else whole
    inner = [one for one in place.values() if isinstance(one, dict) and one] if isinstance(place, dict) else []
    if inner and random.random() < 0.3:
        place = random.choice(inner)
    if not isinstance(place, dict):
        return None
    place[key] = value
    put(path, whole)
    return f"{path.name}: {key} added, {json.dumps(value)[:50]}"


# -- files -------------------------------------------------------------------------------------------------------------


def file_missing(folder: Path, random: Random) -> str | None:
    path = random.choice(sorted(one for one in folder.rglob("*") if one.is_file()))
    path.unlink()
    return f"{path.relative_to(folder)} missing"


def file_broken(folder: Path, random: Random) -> str | None:
    path = random.choice(sorted(one for one in folder.rglob("*") if one.is_file()))
    content = path.read_bytes()
    how, broken = random.choice(
        [
            ("empty", b""),
            ("cut", content[: len(content) // 2]),
            ("an LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n"),
            ("a page", b"<html>404</html>"),
            ("a list", b"[]"),
            ("an object", b"{}"),
            ("null", b"null"),
            ("with a mark before", b"\xef\xbb\xbf" + content),
            ("Latin", '{"a": "é"}'.encode("latin-1")),
        ]
    )
    path.write_bytes(broken)
    return f"{path.relative_to(folder)} is {how}"


def file_doubled(folder: Path, random: Random) -> str | None:
    """A second file beside one, of another name that is read too or of an older time, which says something else."""
    name = random.choice(sorted(WRITTEN["beside"]))
    content = random.choice(WRITTEN["beside"][name])
    path = folder / name
    if path.exists():
        return None
    put(path, content)
    return f"{name} beside, {json.dumps(content)[:60]}"


# -- weights -----------------------------------------------------------------------------------------------------------


PREFIXES = ("bert.", "module.", "model.", "_orig_mod.", "0.auto_model.", "encoder.", "roberta.", "vit.", "x.")


def _weights(folder: Path, random: Random) -> tuple[Path, dict[str, Tensor]] | None:
    files = sorted(folder.rglob("*.safetensors"))
    if not files:
        return None
    path = random.choice(files)
    try:
        return path, load_file(path)
    except Exception:  # broken by the change before
        return None


def _missing(weights: dict[str, Tensor], name: str, random: Random) -> None:
    del weights[name]


def _renamed(weights: dict[str, Tensor], name: str, random: Random) -> None:
    new = [f"{name}_", f"model.{name}", f"{name}.weight", name.replace("LayerNorm.weight", "LayerNorm.gamma")]
    weights[random.choice(new)] = weights.pop(name)


def _one_more(weights: dict[str, Tensor], name: str, random: Random) -> None:
    new = [f"ema.{name}", f"{name}_orig", "whitening.weight", name.replace("layer.0", "layer.7")]
    weights[random.choice(new)] = weights[name] * 2


def _no_number(weights: dict[str, Tensor], name: str, random: Random) -> None:
    tensor = weights[name].clone()
    if tensor.is_floating_point() and tensor.numel():
        tensor.view(-1)[random.randrange(tensor.numel())] = float(random.choice(["nan", "inf", "-inf"]))
    weights[name] = tensor


def _of_another_type(weights: dict[str, Tensor], name: str, random: Random) -> None:
    kinds = ("float16", "bfloat16", "float64", "int8", "float8_e4m3fn", "bool", "int64", "complex64")
    weights[name] = weights[name].to(getattr(torch, random.choice(kinds)))


def _of_another_shape(weights: dict[str, Tensor], name: str, random: Random) -> None:
    tensor = weights[name]
    shapes = (
        [tensor[:-1], torch.cat([tensor, tensor]), tensor[None], tensor.flatten()] if tensor.dim() else [tensor[None]]
    )
    weights[name] = random.choice(shapes)


def _exchanged(weights: dict[str, Tensor], name: str, random: Random) -> None:
    second = random.choice([one for one in sorted(weights) if weights[one].shape == weights[name].shape])
    weights[name], weights[second] = weights[second], weights[name]


def _turned(weights: dict[str, Tensor], name: str, random: Random) -> None:
    weights[name] = weights[name].T if weights[name].dim() == 2 else weights[name].flip(0)


WITH_ONE: Mapping[str, Callable[[dict[str, Tensor], str, Random], None]] = {
    "missing": _missing,
    "zero": lambda weights, name, random: weights.update({name: torch.zeros_like(weights[name])}),
    "renamed": _renamed,
    "one more": _one_more,
    "no number": _no_number,
    "of another type": _of_another_type,
    "of another shape": _of_another_shape,
    "exchanged": _exchanged,
    "transposed": _turned,
}


def weight_changed(folder: Path, random: Random) -> str | None:
    found = _weights(folder, random)
    if found is None or not found[1]:
        return None
    path, weights = found
    name, how = random.choice(sorted(weights)), random.choice(sorted(WITH_ONE))
    WITH_ONE[how](weights, name, random)
    _saved(path, weights)
    return f"{path.name}: {name} {how}"


def _saved(path: Path, weights: Mapping[str, Tensor], written_for: str = "pt") -> None:
    whole = {name: one.contiguous().clone() for name, one in weights.items()}
    save_file(whole, path, metadata={"format": written_for})


def weights_changed(folder: Path, random: Random) -> str | None:
    """All tensors of a file: prefixes, old names, types, shards, stale files beside."""
    found = _weights(folder, random)
    if found is None:
        return None
    path, weights = found
    how = random.choice([*PREFIXES, "half prefixed", "old names", *KINDS, "header", "shards", "shards", *BESIDE])
    if how == "shards":
        how = _sharded(path, weights, random)
    elif how in BESIDE:
        twice = {name: one * 2 for name, one in weights.items()}
        torch.save(twice, path.parent / how) if how.endswith("bin") else _saved(path.parent / how, twice)
    elif how == "header":
        _saved(path, weights, random.choice(["tf", "flax", "np"]))
    elif how in KINDS:
        _saved(path, {name: one.to(getattr(torch, how)) for name, one in weights.items()})
    else:
        _saved(path, {_respelled(name, how): one for name, one in weights.items()})
    return f"{path.name}: all {how}"


KINDS = ("float16", "bfloat16", "float64", "float8_e4m3fn", "int8")
BESIDE = ("model.fp16.safetensors", "consolidated.safetensors", "pytorch_model.bin")


def _respelled(name: str, how: str) -> str:
    if how == "half prefixed":
        return f"bert.{name}" if "layer" in name else name
    if how == "old names":
        return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    return how + name


def _sharded(path: Path, weights: dict[str, Tensor], random: Random) -> str:
    names, places = sorted(weights), {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"{path.stem}-{number:05d}-of-00002.safetensors"
        save_file({name: weights[name] for name in part}, path.parent / file, metadata={"format": "pt"})
        places |= dict.fromkeys(part, file)
    how = random.choice(
        ["whole", "whole", "a file lost", "a name lost", "a name wrong", "a name more", "the single file stays"]
    )
    if how == "a file lost":
        (path.parent / f"{path.stem}-00002-of-00002.safetensors").unlink()
    elif how == "a name lost":
        del places[random.choice(names)]
    elif how == "a name wrong":
        places[names[0]] = places[names[-1]]
    elif how == "a name more":
        places["another.weight"] = places[names[0]]
    if how == "the single file stays":
        save_file({name: one * 2 for name, one in weights.items()}, path, metadata={"format": "pt"})
    else:
        path.unlink()
    put(path.parent / f"{path.name}.index.json", {"metadata": {"total_size": 1}, "weight_map": places})
    return f"shards, {how}"


# -- tokenizers --------------------------------------------------------------------------------------------------------


def tokenizer_changed(folder: Path, random: Random) -> str | None:
    files = sorted(folder.rglob("tokenizer.json"))
    if not files:
        return None
    whole = read(files[0])
    part, value = random.choice(list(_parts(whole)))
    whole[part] = value
    put(files[0], whole)
    return f"tokenizer.json: {part} {json.dumps(value)[:100]}"


def _parts(whole: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Parts of a tokenizer's file in the place of those that it has: fixed ones, and its own with something changed."""
    written = WRITTEN["tokenizer.json"]
    for part in ("normalizer", "pre_tokenizer", "post_processor", "truncation", "padding"):
        yield from ((part, value) for value in written[part])
    yield from (("model", {**whole["model"], **values}) for values in written["model"])
    template, added = whole.get("post_processor") or {}, list(whole.get("added_tokens") or ())
    steps = template.get("single") or ()
    if len(steps) > 1:
        typed = [{name: {**one, "type_id": 1} for name, one in step.items()} for step in steps]
        for changed in (steps[1:], steps[:-1], [steps[0], *steps], typed):
            yield "post_processor", {**template, "single": changed}
    yield "added_tokens", [*added, *written["added_tokens"]]
    if added:
        for values in ({"lstrip": True, "normalized": True}, {"special": False}):
            yield "added_tokens", [{**one, **values} for one in added]
        yield "added_tokens", added[1:]


def tokenizer_settings(folder: Path, random: Random) -> str | None:
    return _from("tokenizer_config.json", folder, random)


def processor_settings(folder: Path, random: Random) -> str | None:
    for name in ("preprocessor_config.json", "processor_config.json"):
        done = _from(name, folder, random, "preprocessor_config.json")
        if done is not None:
            return done
    return None


def calls_changed(folder: Path, random: Random) -> str | None:
    return _from("sentence_bert_config.json", folder, random)


def sentences_changed(folder: Path, random: Random) -> str | None:
    return _from("config_sentence_transformers.json", folder, random)


def adapter_changed(folder: Path, random: Random) -> str | None:
    return _from("adapter_config.json", folder, random)


def module_changed(folder: Path, random: Random) -> str | None:
    files = [path.relative_to(folder).as_posix() for path in sorted(folder.glob("[1-9]_*/config.json"))]
    return _from(random.choice(files), folder, random, "module") if files else None


def _from(name: str, folder: Path, random: Random, pool: str = "") -> str | None:
    """One setting of such files, written into one that is there."""
    path = next((one for one in sorted(folder.rglob(Path(name).name)) if one.as_posix().endswith(name)), None)
    if path is None or not isinstance(whole := read(path), dict):
        return None
    place = whole["image_processor"] if isinstance(whole.get("image_processor"), dict) else whole
    settings = WRITTEN[pool or name]
    key = random.choice(sorted(settings))
    value = random.choice(settings[key])
    place[key] = value
    put(path, whole)
    return f"{path.relative_to(folder)}: {key} = {json.dumps(value)[:60]}"


# -- modules -----------------------------------------------------------------------------------------------------------


def modules_moved(folder: Path, random: Random) -> str | None:
    path = folder / "modules.json"
    if not path.is_file() or len(listed := read(path)) < 2:
        return None
    how = random.choice(["swapped", "twice", "lost", "type", "path", "numbers", "last first"])
    at = random.randrange(1, len(listed))
    if how == "swapped":
        to = random.randrange(1, len(listed))
        listed[at], listed[to] = listed[to], listed[at]
    elif how == "twice":
        listed.insert(random.randrange(1, len(listed) + 1), listed[at])
    elif how == "lost":
        del listed[at]
    elif how == "type":
        kinds = ["Normalize", "Dense", "Dropout", "LayerNorm", "Pooling", "WordWeights", "Twist"]
        listed[at]["type"] = f"sentence_transformers.models.{random.choice(kinds)}"
    elif how == "path":
        listed[at]["path"] = random.choice(["", "9_Nothing", "../elsewhere", listed[0]["path"]])
    elif how == "numbers":
        for number, one in enumerate(reversed(listed)):
            one["idx"] = number
    else:
        listed.insert(0, listed.pop())
    put(path, listed)
    return f"modules.json: {how}, {[one['type'].rsplit('.', 1)[-1] for one in listed]}"


CHANGES: tuple[Change, ...] = (
    *(key_removed, key_renamed, key_changed, key_added, key_changed, key_added),
    *(file_missing, file_broken, file_doubled, weight_changed, weights_changed),
    *(tokenizer_changed, tokenizer_settings, processor_settings),
    *(calls_changed, sentences_changed, adapter_changed, module_changed, module_changed, modules_moved),
)


def tamper(folder: Path, seed: int) -> list[str]:
    """One or two changes of a folder, the same for the same seed; what was done, in words."""
    random = Random(seed)
    done: list[str] = []
    wanted = 1 if random.random() < 0.7 else 2
    for _ in range(40):
        try:
            said = random.choice(CHANGES)(folder, random)
        except (ValueError, UnicodeError, KeyError, TypeError, AttributeError):  # a file that the change before broke
            continue
        if said is not None:
            done.append(said)
        if len(done) == wanted:
            break
    return done
