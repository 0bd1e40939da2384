"""Ways to a vector: classtoken and its peers. Each opens a model and gives the function that is timed.

ONNX Runtime and OpenVINO run the graph of transformers' own model, exported once; their texts are sorted by length and
padded in batches of 32, tokenized by the same library, and averaged in numpy.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from embedding.contest import Run, Vectors

ROOT = Path(__file__).resolve().parents[2]
GRAPHS = ROOT / "bench-results" / "graphs"
Open = Callable[[], Run]


def has(package: str) -> bool:
    """Whether a peer is installed here."""
    return find_spec(package) is not None


def threads() -> int:
    """Of everybody: those that torch has."""
    import torch

    return torch.get_num_threads()


def ours(model: str | Path, precision: str = "fp32", pooling: str | None = None) -> Open:
    """classtoken; of several poolings the first one's vectors are compared."""

    def load() -> Run:
        import classtoken as ct

        embedder = ct.load(model, precision=precision, pooling=pooling)  # type: ignore[arg-type]

        def run(items: list) -> Vectors:
            found = embedder.embed(items)
            return next(iter(found.values())) if isinstance(found, dict) else found

        return run

    return load


def sentence_transformers(model: str | Path, batch: int = 32) -> Open:
    """sentence-transformers' encode."""

    def load() -> Run:
        import transformers
        from sentence_transformers import SentenceTransformer

        transformers.logging.disable_progress_bar()
        encoder = SentenceTransformer(str(model), device="cpu")
        return lambda items: encoder.encode(items, batch_size=batch, show_progress_bar=False)

    return load


def onnxruntime(model: str | Path, *, int8: bool = False, images: bool = False) -> Open:
    """ONNX Runtime, with all of its graph optimisations; int8 is its dynamic quantisation, a scale a channel."""

    def load() -> Run:
        import onnxruntime as runtime

        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads(), 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = graph(str(model), int8=int8, images=images)
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return through(str(model), lambda fed: session.run(None, fed)[0], images=images)

    return load


def openvino(model: str | Path, precision: str = "f32", *, images: bool = False) -> Open:
    """OpenVINO, in the precision that it is told to infer in."""

    def load() -> Run:
        import openvino

        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        compiled = openvino.Core().compile_model(graph(str(model), images=images), "CPU", settings)
        request = compiled.create_infer_request()
        return through(str(model), lambda fed: request.infer(fed)[0], images=images)

    return load


def pipeline(model: str | Path) -> Open:
    """transformers' image-feature-extraction pipeline: every token's state as nested lists; the class token is kept."""

    def load() -> Run:
        import transformers

        transformers.logging.set_verbosity_error()
        extract = transformers.pipeline("image-feature-extraction", model=str(model), device="cpu", batch_size=16)

        def run(items: list) -> Vectors:
            given = [str(item) if isinstance(item, Path) else item for item in items]
            return np.array([states[0][0] for states in extract(given)], dtype=np.float32)

        return run

    return load


def by_hand(model: str | Path) -> Open:
    """transformers' image processor and model, in batches of 16."""

    def load() -> Run:
        import torch
        import transformers

        transformers.logging.set_verbosity_error()
        module = transformers.AutoModel.from_pretrained(model, add_pooling_layer=False).eval()

        def states(fed: dict[str, np.ndarray]) -> Vectors:
            with torch.inference_mode():
                return module(pixel_values=torch.from_numpy(fed["pixel_values"])).last_hidden_state.numpy()

        return through(str(model), states, images=True)

    return load


def one_by_one(opened: Open) -> Open:
    """Every item in a call of its own."""

    def load() -> Run:
        run = opened()
        return lambda items: np.concatenate([run([item]) for item in items])

    return load


# -- what graphs need --------------------------------------------------------------------------------------------------


@cache
def graph(model: str, *, int8: bool = False, images: bool = False) -> str:
    """The path of transformers' model as an ONNX graph, exported where it is not there yet."""
    import torch
    import transformers

    GRAPHS.mkdir(parents=True, exist_ok=True)
    whole = GRAPHS / f"{abs(hash((model, os.getpid()))):x}.onnx"
    path = whole.with_suffix(".int8.onnx") if int8 else whole
    if path.is_file():
        return str(path)
    if int8:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(graph(model, images=images), path, weight_type=QuantType.QInt8, per_channel=True)
        return str(path)
    module = transformers.AutoModel.from_pretrained(model, attn_implementation="eager", add_pooling_layer=False).eval()

    class States(torch.nn.Module):
        """The last states alone."""

        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *given: torch.Tensor) -> torch.Tensor:
            if images:
                return self.module(pixel_values=given[0]).last_hidden_state
            return self.module(input_ids=given[0], attention_mask=given[1]).last_hidden_state

    if images:
        size = module.config.image_size
        given, names, moving = (torch.zeros(2, 3, size, size),), ["pixel_values"], {0: "items"}
    else:
        given, names = (torch.ones(2, 8, dtype=torch.long),) * 2, ["input_ids", "attention_mask"]
        moving = {0: "items", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            States(),
            given,
            str(whole),
            input_names=names,
            output_names=["states"],
            dynamic_axes={name: moving for name in [*names, "states"]},
            dynamo=False,
            opset_version=17,
        )
    return str(whole)


def through(model: str, states: Callable[[dict[str, np.ndarray]], Vectors], *, images: bool) -> Run:
    """Vectors of items by a function of batches: the class token of images, the mean of texts' tokens."""
    if images:
        return _images(model, states)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
    longest = limit_of(model)
    tokenizer.enable_truncation(longest)
    tokenizer.enable_padding()

    def run(items: list) -> Vectors:
        found: list[Any] = [None] * len(items)
        for at in _sorted(items, 32):
            encoded = tokenizer.encode_batch([items[i] for i in at])
            mask = np.array([one.attention_mask for one in encoded])
            made = states({"input_ids": np.array([one.ids for one in encoded]), "attention_mask": mask})
            means = (made * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            for place, vector in zip(at, means / np.linalg.norm(means, axis=1, keepdims=True), strict=True):
                found[place] = vector
        return np.stack(found)

    return run


def limit_of(model: str | Path) -> int:
    """Tokens of a text that sentence-transformers' folder lets through, else 512."""
    import json

    path = Path(model) / "sentence_bert_config.json"
    return int(json.loads(path.read_text()).get("max_seq_length", 512)) if path.is_file() else 512


def _sorted(items: list, batch: int) -> Iterator[list[int]]:
    order = sorted(range(len(items)), key=lambda i: len(items[i]))
    for start in range(0, len(order), batch):
        yield order[start : start + batch]


def _images(model: str, states: Callable[[dict[str, np.ndarray]], Vectors]) -> Run:
    import transformers
    from PIL import Image

    processor = transformers.AutoImageProcessor.from_pretrained(model)

    def run(items: list) -> Vectors:
        found = []
        for start in range(0, len(items), 16):
            some = items[start : start + 16]
            pictures = [Image.open(x).convert("RGB") if isinstance(x, Path) else x for x in some]
            found.append(
                states({"pixel_values": np.asarray(processor(pictures, return_tensors="np")["pixel_values"])})[:, 0]
            )
        return np.concatenate(found)

    return run
