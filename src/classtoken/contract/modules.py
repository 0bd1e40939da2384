"""sentence-transformers' modules.json, followed by name: what each module reads, what it writes, what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classtoken.errors import ModelError, UnsupportedModel
from classtoken.model_folder import ENCODERS, Module, read_encoder_settings, read_json, read_modules
from classtoken.pooling.table import POOLINGS

#: sentence-transformers' names of poolings, new and old, -> ours.
NAMES = {row.sentence_transformers: row.name for row in POOLINGS.values() if row.sentence_transformers}
ST_MODES = {mode: name for (mode, _), name in NAMES.items()}
#: In the order in which sentence-transformers joins what its old switches ask for.
ORDER = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
ST_SWITCHES = {switch: name for (_, switch), name in sorted(NAMES.items(), key=lambda item: ORDER.index(item[0][0]))}
#: Arguments of `from_pretrained` that say how files are found and read; numbers are read in single precision here.
LOADING = (
    *("attn_implementation", "torch_dtype", "dtype", "device_map", "low_cpu_mem_usage", "use_safetensors", "revision"),
    *("trust_remote_code", "code_revision", "token", "cache_dir", "local_files_only", "add_pooling_layer"),
    *("use_memory_efficient_attention", "unpad_inputs"),
)
USUAL = "SentenceTransformer"
TOKENS, VECTOR = "token_embeddings", "sentence_embedding"
#: Methods and outputs of an encoder that are its tokens' states; by the side that is read, those that are its vector.
STATES = (("forward", "last_hidden_state"), ("forward", None))
VECTORS = {
    side: (
        (f"get_{side}_features", "pooler_output"),
        (f"get_{side}_features", None),  # as it was written beside an older transformers, whose output is the vector
        ("forward", "pooler_output"),
    )
    for side in ("text", "image")
}
#: Modules whose output is something else than one dense vector pooled from states.
OTHERWISE: Mapping[str, str] = {
    "SpladePooling": "it gives sparse vectors, one weight for each word of the vocabulary (SPLADE)",
    "MLMTransformer": "it gives sparse vectors, one weight for each word of the vocabulary (SPLADE)",
    "SparseAutoEncoder": "it gives sparse vectors",
    "SparseStaticEmbedding": "it gives sparse vectors, one weight for each word of the vocabulary",
    "MultiVectorMask": "it gives one vector for each token (multi-vector, ColBERT)",
    "HierarchicalTokenPooling": "it gives several vectors for each text (multi-vector, ColBERT)",
    "LogitScore": "it scores pairs of texts (a cross-encoder)",
    "WordWeights": "it weights words by a table of its own",
    "WordEmbeddings": "it looks words up in a table, without an encoder",
    "BoW": "it counts words, without an encoder",
    "CNN": "it is a convolutional network over word vectors",
    "LSTM": "it is a recurrent network over word vectors",
    "Router": "it is a second router, behind another or within it",
    "Asym": "it is a second router, behind another or within it",
    "WeightedLayerPooling": "it mixes the states of several layers by learned weights",
}


@dataclass(frozen=True)
class Step:
    """Something done to every token's state or to the pooled vector.

    `kind`: `dense`, `layer_norm` (`folder` holds the weights), `unit_length`, or `first` (the first `size` numbers).
    """

    kind: str
    folder: Path | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    size: int | None = None


@dataclass(frozen=True)
class Flow:
    """How a vector comes about: steps on every token's state, a pooling, steps on the vector.

    `pooling` is None for the tokens' states themselves, and empty for a vector that the encoder gives without one (each
    side of a CLIP).
    """

    pooling: str | None = None
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()
    says: tuple[str, ...] = ()

    def then(self, step: Step, words: str) -> "Flow":
        """One step more, on whichever of the two this is."""
        if self.pooling is None:
            return Flow(None, (*self.before, step), (), (*self.says, words))
        return Flow(self.pooling, self.before, (*self.after, step), (*self.says, words))


def follow(folder: Path) -> Flow | None:
    """What stands as the sentence's vector after all modules; None in a folder without modules.json.

    Raises `ModelError` for files that cannot be, `UnsupportedModel` for what gives no single dense vector.
    """
    modules, path = read_modules(folder), folder / "modules.json"
    if not modules:
        _encoder_features(Module("Transformer", folder, ""))  # its settings may lie there all the same
        return None
    # null is no silence: sentence-transformers then keeps the encoder and a pooling, and leaves other modules out
    kind = (read_json(folder / "config_sentence_transformers.json") or {}).get("model_type", USUAL)
    if kind != USUAL:
        raise UnsupportedModel(
            f"config_sentence_transformers.json of '{folder}' says model_type {kind!r}; classtoken gives the dense "
            f"vectors of a {USUAL!r}. Compute this model's with sentence-transformers."
        )
    for module in modules:
        if module.kind in OTHERWISE:
            raise UnsupportedModel(
                f"{path} lists the module '{module.kind}': {OTHERWISE[module.kind]}. classtoken gives one dense vector "
                "of an encoder's states; compute this model's with sentence-transformers."
            )
    if modules[0].kind not in ENCODERS or any(module.kind in ENCODERS for module in modules[1:]):
        raise UnsupportedModel(
            f"{path} begins with '{modules[0].kind}'; known are folders whose first module is one of "
            f"{', '.join(ENCODERS)} and no other is."
        )
    features = _encoder_features(modules[0])
    for module in modules[1:]:
        _apply(module, features, path)
    if VECTOR not in features or features[VECTOR].pooling is None:
        raise UnsupportedModel(
            f"{path} pools nowhere ({', '.join(module.kind for module in modules)}): it gives one vector for each "
            "token (multi-vector, ColBERT). classtoken gives one dense vector; compute this model's with "
            "sentence-transformers."
        )
    return _truncated(folder, features[VECTOR])


def _encoder_features(module: Module) -> dict[str, Flow]:
    """What the first module leaves: the states of tokens, or, where its settings say so, a vector already."""
    if module.kind == "StaticEmbedding":
        return {VECTOR: Flow("mean", says=("StaticEmbedding",))}
    settings = read_encoder_settings(module.folder)
    _check_making(module, settings)
    name = settings.get("module_output_name") or (VECTOR if module.kind == "CLIPModel" else TOKENS)
    task = settings.get("transformer_task") or "feature-extraction"
    if task != "feature-extraction":
        raise UnsupportedModel(
            f"sentence_bert_config.json of '{module.folder}' asks for the task {task!r}; classtoken gives vectors of "
            "states ('feature-extraction'). Compute this model's output with sentence-transformers."
        )
    if "message" in (settings.get("modality_config") or {}):  # which goes before `text` there, whatever it holds
        raise UnsupportedModel(
            f"sentence_bert_config.json of '{module.folder}' writes every text into its tokenizer's chat template "
            "('message' in modality_config), which classtoken does not: the template's words would be missing. Compute "
            "this model's with sentence-transformers, or take 'message' out if the model was trained on bare texts."
        )
    ways = _ways(settings)
    read = VECTORS if name == VECTOR else {side: STATES for side in ways}
    for side, way in ways.items():
        if side in read and way not in read[side]:
            known = " or ".join(f"{output!r} of {method!r}" for method, output in read[side] if output)
            raise UnsupportedModel(
                f"sentence_bert_config.json of '{module.folder}' takes {way[1]!r} of {way[0]!r} for "
                f"{f'the vector of a {side}' if name == VECTOR else 'states of tokens'}; classtoken reads {known}. "
                "Compute this model's with sentence-transformers."
            )
    if name == VECTOR:
        own = {output for method, output in ways.values() if method == "forward"}
        return {VECTOR: Flow("pooler" if own == {"pooler_output"} else "", says=(module.kind,))}
    return {str(name): Flow()}


def _check_making(module: Module, settings: Mapping[str, Any]) -> None:
    """Refuse what sentence-transformers would hand to the encoder's class beside config.json: it may move states."""
    for key in ("config_kwargs", "config_args", "model_kwargs", "model_args"):
        for name, value in (settings.get(key) or {}).items():
            if name not in LOADING and value is not None:
                raise UnsupportedModel(
                    f"sentence_bert_config.json of '{module.folder}' makes the encoder with {name} = {value!r} "
                    f"({key}), which config.json does not say. Write it into config.json and take it out here, or take "
                    "it out if it moves no vector."
                )


def _ways(settings: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What is called for each kind of input, and which of its outputs is taken."""
    ways = (settings.get("modality_config") or {}).items()
    return {
        side: (way.get("method", "forward"), way.get("method_output_name"))
        for side, way in ways
        if isinstance(way, Mapping)
    }


def _apply(module: Module, features: dict[str, Flow], path: Path) -> None:
    """One module: what it reads out of the features, and what it writes there."""
    config, source = module.config, f"{module.folder}/config.json"
    if module.kind in ("Pooling", "Dense", "LayerNorm") and not (module.name and Path(source).is_file()):
        raise ModelError(f"{path} names '{module.name}' ({module.kind}), which is not there. Copy its folder too.")
    if module.kind == "Pooling":
        config.get("embedding_dimension", config.get("word_embedding_dimension"))  # the states say it themselves
        spec, words = _pooling_of(config, source), f"{module.name}/config.json {_quoted_pooling(config)}"
        tokens = _there(TOKENS, features, module, path)
        features[VECTOR] = Flow(spec, tokens.before, (), (*tokens.says, words))
    elif module.kind in ("Dense", "Normalize"):
        reads = config.get("module_input_name") or VECTOR
        writes = config.get("module_output_name") or reads
        if module.kind == "Normalize" and reads not in features:
            return  # as sentence-transformers does
        config.get("activation_function"), config.get("use_residual")  # read with the weights, where somebody reads it
        step = Step("unit_length") if module.kind == "Normalize" else Step("dense", module.folder, config)
        words = f"{module.name} {module.kind}" if module.kind == "Dense" else module.kind
        where = " on every token" if _there(reads, features, module, path).pooling is None else ""
        features[writes] = features[reads].then(step, words + where)
    elif module.kind == "LayerNorm":
        step = Step("layer_norm", module.folder, config)
        features[VECTOR] = _there(VECTOR, features, module, path).then(step, f"{module.name} LayerNorm")
    elif module.kind != "Dropout":  # which does nothing outside of training
        raise ModelError(
            f"{path} lists a module '{module.kind}' that is not known. Known are {', '.join(ENCODERS)}, Pooling, "
            "Dense, LayerNorm, Normalize and Dropout. Leaving it out would give other vectors than the authors'."
        )


def _there(name: str, features: Mapping[str, Flow], module: Module, path: Path) -> Flow:
    if name not in features:
        raise ModelError(
            f"{path}: '{module.name}' ({module.kind}) reads {name!r}, which no module before it gives; there are "
            f"{', '.join(features)}. Copy the folder again."
        )
    return features[name]


def _truncated(folder: Path, flow: Flow) -> Flow:
    """`truncate_dim` keeps the first numbers of what comes out."""
    size = (read_json(folder / "config_sentence_transformers.json") or {}).get("truncate_dim")
    if size is None:
        return flow
    if not isinstance(size, int) or size < 1:
        raise ModelError(
            f"{folder}/config_sentence_transformers.json has truncate_dim {size!r}; it is a number from 1."
        )
    return flow.then(Step("first", size=size), f"truncate_dim {size}")


def _pooling_of(config: Mapping[str, Any], source: str) -> str:
    switched = [name for key, name in ST_SWITCHES.items() if config.get(key)]
    modes = config.get("pooling_mode")
    if modes is None:
        names = switched or ["mean"]  # what sentence-transformers takes where nothing is switched on
    else:  # beside which the switches count for nothing
        modes = modes.split("+") if isinstance(modes, str) else list(modes)
        unknown = [m for m in modes if m not in ST_MODES]
        if unknown:
            raise ModelError(f"{source} has pooling_mode {unknown[0]!r}; known are {', '.join(ST_MODES)}.")
        names = [ST_MODES[m] for m in modes]
    if not names:
        raise ModelError(f"{source} switches on no pooling mode.")
    if not config.get("include_prompt", True):  # then `cls` is the first token behind the prompt
        names = ["first" if name == "cls" else name for name in names]
    return "+".join(names)


def _quoted_pooling(config: Mapping[str, Any]) -> str:
    left_out = "" if config.get("include_prompt", True) else ", include_prompt false"
    if "pooling_mode" in config:
        return f"pooling_mode {config['pooling_mode']}{left_out}"
    return (", ".join(key for key in ST_SWITCHES if config.get(key)) or "names no pooling") + left_out
