"""A model's folder for ONNX Runtime: a graph for each side, the files that others look for beside it, and the proof."""

import contextlib
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import torch
from torch import Tensor
from torch.onnx import symbolic_helper

from classtoken.embedder import Embedder, Tower
from classtoken.errors import ContractError, InternalError, ModelError, OptionError
from classtoken.extras import need
from classtoken.handover.graph import ImageGraph, TextGraph, graph_of
from classtoken.results.export import GraphParity
from classtoken.sink.manifest import META
from classtoken.tensors import Tokens
from classtoken.tokens.text import TextPreprocessor

LOG = logging.getLogger("classtoken")
#: The standard's version: the first with everything that the graphs need; old runtimes read it.
OPSET = 17
#: Largest difference of a number of the vector, relative to the vector's length.
PARITY = 1e-5
#: What a folder holds beside weights: configs, tokenizers, modules, cards. Never code, never pickles.
KEPT = (".json", ".txt", ".model", ".md", ".jinja")
TEXTS = (
    "A dog runs across the wet grass.",
    "No",
    "What is the capital of Australia, and how many people live there?",
    "Der Zug nach Köln fährt um 9:45 Uhr.",
)


@dataclass(frozen=True)
class NamedGraph:
    """One side of a model with the names that others know it by: its file, its vector."""

    tower: Tower
    file: str
    vector: str


def write_onnx(embedder: Embedder, folder: Path) -> tuple[GraphParity, ...]:
    """Fill `folder` with the graphs of a model and prove each of them.

    Raises `MissingExtra` without onnx and onnxruntime, `ContractError` for a model that is not exported, `ModelError`
    for one whose graph does not give the same vectors.
    """
    _check_exported(embedder)
    (folder / "onnx").mkdir()
    copy_rest(embedder.folder, folder)
    graphs = graphs_of(embedder)
    found = (_write(embedder, graph, folder / "onnx" / graph.file) for graph in graphs)
    return tuple(replace(graph, file=f"onnx/{graph.file}") for graph in found)


def write_graph(embedder: Embedder, place: Path) -> GraphParity:
    """The one graph of a model of one side as the file `place`, proved. Raises what `write_onnx` raises,
    `ContractError` for a model of two sides and for one that needs more than one file."""
    _check_exported(embedder)
    first, *others = graphs_of(embedder)
    if others:
        raise ContractError(
            f"'{embedder.name}' has {len(others) + 1} sides, each a graph of its own; give a folder as `out`."
        )
    found = _write(embedder, first, place)
    if len(list(place.parent.iterdir())) > 1:  # beyond 2 GB weights lie beside the graph
        raise ContractError(f"the graph of '{embedder.name}' does not fit into one file; give a folder as `out`.")
    return found


def noted(graph: Path, mark: str, about: str) -> bytes:
    """The content of a graph's file with what made it, and under the metadata `classtoken` what is known about it."""
    import onnx

    model = onnx.load(str(graph))
    model.doc_string = mark
    onnx.helper.set_model_props(model, {"classtoken": about})
    return bytes(model.SerializeToString())


def say_route(embedder: Embedder) -> None:
    """A graph is one route of a model that has several: say which. Raises `OptionError` where none is the usual one."""
    if not embedder.routes or embedder.spec.route is not None:
        return
    name = repr(embedder.name)
    others = [route for route in embedder.routes if route != embedder.usual_route]
    line = f"ct.export(ct.load({name}).on_route({others[0]!r}), OUT)"
    if embedder.usual_route is None:
        raise OptionError(
            f"{name} sends texts through modules of their own, by routes ({', '.join(map(repr, others))}), none of "
            f"which is the usual one, and a graph is one of them. Export one in Python: {line}."
        )
    LOG.warning(
        "the graph is the route %r of %s, which texts take that name none; for %s: %s",
        *(embedder.usual_route, name, " or ".join(map(repr, others)), line),
    )


def _check_exported(embedder: Embedder) -> None:
    need("onnx", "exporting to ONNX")
    need("onnxruntime", "proving an ONNX graph")
    if embedder.device.type != "cpu" or embedder.spec.precision != "fp32":
        raise ContractError(
            "graphs are made on the CPU in fp32; load the model with device='cpu' and precision='fp32'."
        )


def graphs_of(embedder: Embedder) -> Sequence[NamedGraph]:
    """The sides of a model under the names of transformers.js and sentence-transformers."""
    towers = embedder.towers
    if len(towers) > 1:
        files = {"text": ("text_model.onnx", "text_embeds"), "image": ("vision_model.onnx", "image_embeds")}
        return [NamedGraph(tower, *files[side]) for side, tower in towers.items()]
    ((side, tower),) = towers.items()
    return [NamedGraph(tower, "model.onnx", "sentence_embedding" if side == "text" else "image_embeds")]


def copy_rest(source: Path, target: Path) -> None:
    """Copy what is no weight: what other libraries read beside the graph.

    What a run has written down for itself below `_meta` stays behind, its frozen vectors' too: it speaks of files that
    are not there, and of the records.
    """
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        weights = path.name.endswith(".index.json") or "onnx" in inside.parts[:-1] or "openvino" in inside.parts[:-1]
        small = path.is_file() and path.suffix in KEPT and not weights and META not in inside.parts
        # The steps behind the pooling are small, and sentence-transformers reads them from their own folders.
        module = path.is_file() and path.suffix == ".safetensors" and len(inside.parts) == 2 and "_" in inside.parts[0]
        if small or (module and path.stat().st_size < 100_000_000 and "Transformer" not in inside.parts[0]):
            (target / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / inside)


def _write(embedder: Embedder, named: NamedGraph, place: Path) -> GraphParity:
    tower = named.tower
    ((_, readout),) = tower.readouts(embedder.spec.pooling, embedder.spec.normalize).items()
    module = graph_of(tower, readout).eval()
    example = _tokens(tower, 3)
    inputs = _inputs(module, example)
    axes = {name: {0: "batch", 1: "length"} if tower.modality == "text" else {0: "batch"} for name in inputs}
    axes |= {"last_hidden_state": {0: "batch", 1: "length"}, named.vector: {0: "batch"}}
    try:
        with torch.inference_mode(), _tracing():
            torch.onnx.export(
                module,
                tuple(inputs.values()),
                str(place),
                input_names=list(inputs),
                output_names=["last_hidden_state", named.vector],
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
    except (RuntimeError, TypeError, ValueError, torch.onnx.errors.OnnxExporterError) as error:
        said = " ".join(str(error).split())
        raise ModelError(f"'{embedder.name}' cannot be written as an ONNX graph ({said[:200]}).") from error
    return _proved(embedder, module, named, place)


@contextlib.contextmanager
def _tracing() -> Iterator[None]:
    """While a graph is traced sizes are tensors, so shapes are not checked. The tracer doubts what is proved later,
    names its successor, and prints whole graphs when it fails, whether its log is enabled or not. The standard has had
    a root-mean-square norm only since a later version: it is written as its formula."""
    checked, log = jaxtyping.config.jaxtyping_disable, torch._C._jit_onnx_log
    torch._C._jit_onnx_log = lambda *_: None
    jaxtyping.config.update("jaxtyping_disable", True)
    torch.onnx.register_custom_op_symbolic("aten::rms_norm", _root_mean_square_norm, OPSET)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch._C._jit_onnx_log = log
        jaxtyping.config.update("jaxtyping_disable", checked)


@symbolic_helper.parse_args("v", "is", "v", "f")
def _root_mean_square_norm(graph: Any, x: Any, shape: Sequence[int], weight: Any, eps: float | None) -> Any:
    """x / sqrt(mean of squares + eps) * weight, over the last axes, as many as `shape` has."""
    axes = list(range(-len(shape), 0))
    mean = graph.op("ReduceMean", graph.op("Mul", x, x), axes_i=axes, keepdims_i=1)
    least = torch.finfo(torch.float32).eps if eps is None else eps
    root = graph.op("Sqrt", graph.op("Add", mean, graph.op("Constant", value_t=torch.tensor(least))))
    out = graph.op("Div", x, root)
    return out if symbolic_helper._is_none(weight) else graph.op("Mul", out, weight)


def _proved(embedder: Embedder, module: TextGraph | ImageGraph, named: NamedGraph, place: Path) -> GraphParity:
    """ONNX Runtime's vectors beside the embedder's: alone, in batches of other sizes, padded on either side."""
    import onnxruntime

    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4  # what goes wrong is said below, in a line
    session = onnxruntime.InferenceSession(str(place), quiet, providers=["CPUExecutionProvider"])
    tower = named.tower
    side = tower.modality
    worst, lowest, cases, size = 0.0, 1.0, 0, 0
    for rows in (1, 2, 4):
        items = _items(tower, rows)
        expected = embedder.embed(items, modality=side)
        assert isinstance(expected, np.ndarray)
        # Where padding is attended, as every text is padded to one length, a token's place is its own.
        for padding in ("right", "left") if isinstance(module, TextGraph) and not module.attend_pads else ("right",):
            inputs = _inputs(module, _tokens(tower, rows, padding))
            try:
                (found,) = session.run([named.vector], {name: value.numpy() for name, value in inputs.items()})
            except Exception as error:  # ONNX Runtime's errors have no class of their own in common
                said = " ".join(str(error).split())
                raise ModelError(
                    f"the ONNX graph of '{embedder.name}' does not run with a batch of {rows} ({said[:200]}); "
                    "nothing was written."
                ) from error
            lengths = np.linalg.norm(expected, axis=1)
            worst = max(worst, float((np.abs(found - expected).max(1) / lengths).max()))
            lowest = min(lowest, float(((found * expected).sum(1) / lengths / np.linalg.norm(found, axis=1)).min()))
            cases, size = cases + rows, found.shape[1]
    if not worst <= PARITY:
        raise ModelError(
            f"the ONNX graph of '{embedder.name}' gives other vectors (off by {worst:.2g} of their length, and at most "
            f"{PARITY:g} is allowed); nothing was written. Please report the model."
        )
    return GraphParity(
        file=place.name,
        modality=side,
        inputs=tuple(inputs),
        output=named.vector,
        size=size,
        largest_difference=worst,
        lowest_cosine=lowest,
        vectors=cases,
        runtime=f"onnxruntime {onnxruntime.__version__}",
        bytes=place.stat().st_size,
    )


def _items(tower: Tower, rows: int) -> list[Any]:
    if tower.modality == "text":
        return list(TEXTS[:rows])
    rng = np.random.default_rng(rows)
    return [rng.integers(0, 256, (80, 100, 3), dtype=np.uint8) for _ in range(rows)]


def _tokens(tower: Tower, rows: int, padding: str = "right") -> Tokens:
    """A batch; of texts padded on one side or the other, by one more than the longest wants."""
    prepare = tower.prepare
    if not isinstance(prepare, TextPreprocessor):
        return tower.tokens(_items(tower, rows))
    return prepare.collate(prepare.encode(_items(tower, rows)), side="left" if padding == "left" else "right")


def _inputs(module: TextGraph | ImageGraph, tokens: Tokens) -> Mapping[str, Tensor]:
    if isinstance(module, ImageGraph):
        assert tokens.pixels is not None
        return {"pixel_values": tokens.pixels}
    if tokens.ids_BL is None:
        raise InternalError("a text's tokens have no ids")
    mask = torch.ones_like(tokens.ids_BL) if module.attend_pads else tokens.mask_BL.long()
    return {"input_ids": tokens.ids_BL, "attention_mask": mask}
