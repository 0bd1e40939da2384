"""Any Hugging Face encoder behind the same forward as ours, with its gaps declared.

What fits no row of the table comes in here: `AutoModel` builds it, and only code that ships with transformers is run.
Which of its tokens are class tokens or registers is found by experiment: they are what does not change with the image.
"""

import inspect
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from classtoken.encoder.foreign.captured import Capture, capturing
from classtoken.encoder.foreign.config import depth_of, grid_of, image_size
from classtoken.encoder.foreign.grouped import by_length, one_by_one
from classtoken.encoder.foreign.hooked import pooled_of, tensor_of, with_states
from classtoken.encoder.module import PlainModule
from classtoken.errors import ModelError, TraceError, UnsupportedModel
from classtoken.tensors import States, Tokens, Trace, names_of_trace
from classtoken.values import Layout, Role

Layer = int | str
SEEN = ("scores", "weights", "values")
"""what the attention interface shows"""
#: What transformers calls a table of learned absolute positions.
POSITIONS = ("position_embeddings", "position_embedding", "embed_positions", "wpe")
#: Two runs of one model on the same input may differ by so much, relative to the largest value.
EQUAL = 1e-4


@dataclass(frozen=True)
class _Probe:
    """What a run on random input shows about a foreign model."""

    layout: Layout
    hidden_size: int
    uniform: bool
    """every block gives states of all tokens, (B, L, D)"""
    attention: bool
    """every block's attention goes through the interface, over all tokens, and gives the same result there"""
    pooled_size: int | None
    """numbers of the model's own pooled output; None where it has none"""
    numbers_last: bool
    """a map of patches has the numbers of a state as its last axis, (B, h, w, D), as Hiera's has"""


class Foreign(PlainModule):
    """A module of transformers that gives `last_hidden_state`; see `Encoder.forward` for the arguments.

    `missing` are names of weights that the checkpoint lacks and that the states do not need (a pooler's). `rows` and
    `packed` are not used: all tokens are computed, padded. One traced run at a time. Its blocks are not run one by one,
    its matrices not read and its weights not trained here.
    """

    packable = stepwise = open_weights = trainable = proved = False

    def __init__(self, model: nn.Module, modality: Literal["text", "image"], missing: tuple[str, ...] = ()):
        super().__init__()
        self.model = model.eval()
        self.modality, self.missing = modality, missing
        self.alone = False
        """inputs are computed one at a time, because company in the batch moves their vectors"""
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the lock: a copy has its own."""
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._lock = threading.Lock()

    @property
    def config(self) -> Any:
        """The model's config object."""
        return self.model.config

    @cached_property
    def blocks(self) -> tuple[nn.Module, ...]:
        """The modules whose outputs are the residual stream: the longest list of equal modules of the right number."""
        count = depth_of(self.config)
        lists = [m for m in self.model.modules() if isinstance(m, nn.ModuleList) and len(m) == count]
        plain = [m for m in lists if len({type(block) for block in m}) == 1]
        return tuple(plain[0]) if plain else ()

    @property
    def depth(self) -> int:
        """Blocks; stages, where a model has stages."""
        return depth_of(self.config)

    @property
    def heads(self) -> int:
        """Heads of a block (of the last stage)."""
        heads = getattr(self.config, "num_attention_heads", None) or getattr(self.config, "num_heads", None) or 0
        return int(heads[-1] if isinstance(heads, list | tuple) else heads)

    @property
    def hidden_size(self) -> int:
        """D, the size of a state."""
        return self._probe.hidden_size

    @property
    def layout(self) -> Layout:
        """Roles in order, at the native size; found by experiment for images."""
        return self._probe.layout

    @property
    def patch(self) -> int | None:
        """Pixels on one side of what a token of an image stands for, blocks that merge tokens counted in."""
        grid = self.layout.grid
        return None if grid is None else max(1, image_size(self.config)[0] // grid[0])

    @property
    def pooled_size(self) -> int | None:
        """Numbers of the model's own pooled output (`States.pooled_BD`); None where it has none."""
        return self._probe.pooled_size

    @cached_property
    def pooler_whole(self) -> bool:
        """Whether the model has a pooled output and its checkpoint all the weights that it reads."""
        lost = [parameter for name, parameter in self.model.named_parameters() if name in self.missing]
        if self.pooled_size is None or not lost:
            return self.pooled_size is not None
        with torch.enable_grad():
            pooled = pooled_of(self.model(**self.random_input(0)))
            assert pooled is not None
            read = torch.autograd.grad(pooled.sum(), lost, allow_unused=True)
        return all(gradient is None for gradient in read)

    @cached_property
    def positions(self) -> int | None:
        """Learned absolute positions of texts; None where there are none."""
        tables = [m for name, m in self.model.named_modules() if name.rsplit(".", 1)[-1] in POSITIONS]
        counts = [m.num_embeddings - _first_position(m) for m in tables if isinstance(m, nn.Embedding)]
        return min(counts) if counts and self.modality == "text" else None

    @property
    def kinds(self) -> int:
        """Kinds of tokens (`token_type_ids`) that it tells apart; all tokens are of kind 0 here."""
        return 2 if "token_type_ids" in inspect.signature(self.model.forward).parameters else 0

    @property
    def vocabulary(self) -> int | None:
        """Rows of the table of word pieces; None for images and for what reads characters or bytes in other ways."""
        try:
            table: Any = self.model.get_input_embeddings() if self.modality == "text" else None  # type: ignore[operator]
        except (AttributeError, NotImplementedError):
            return None
        return table.num_embeddings if isinstance(table, nn.Embedding) else None

    @cached_property
    @torch.no_grad()
    def causal(self) -> bool:
        """Whether a token sees only those before it: found by changing tokens, of three texts."""
        return self.modality == "text" and all(self._causal_on(seed) for seed in (0, 1, 2))

    @property
    def gaps(self) -> tuple[str, ...]:
        """Last parts of trace names that it cannot give."""
        probe = self._probe
        lost = set() if probe.attention else set(SEEN)
        lost |= {"heads", "attention", "feedforward"}
        lost |= set() if probe.uniform else {"embeddings", "states"}
        order = ("embeddings", "scores", "weights", "values", "heads", "attention", "feedforward", "states")
        return tuple(part for part in order if part in lost)

    def forward(
        self,
        tokens: Tokens,
        *,
        layers: Sequence[Layer] = (),
        rows: Collection[Role] | None = None,
        trace: Trace | None = None,
        packed: bool = False,
    ) -> States:
        """States of all tokens. Raises `TraceError` where the trace or `layers` ask for a gap.

        Texts of several lengths are computed in groups of one length, so that no model sees padding: many mix it in, or
        count positions from the padded row. Only a traced run is one batch, padded.
        """
        if trace is None and len(tokens) > 1 and self.alone:
            return one_by_one(self, tokens, layers)
        if trace is None and tokens.ids_BL is not None and not bool(tokens.mask_BL.all()):
            return by_length(self, tokens, layers)
        self._refuse_gaps(layers, trace)
        wanted = {layer if isinstance(layer, str) else self._block(layer) for layer in layers}
        kept: dict[Layer, Tensor] = {}
        with self._watched(trace, wanted, kept):
            out = self._run(tokens, trace)
            last, grid = self._last(out, tokens)
        if trace is not None:
            last = trace("final", last)
        named = {layer: kept[layer if isinstance(layer, str) else self._block(layer)] for layer in layers}
        return States(last, self._roles(tokens, last), grid, named, None, pooled_of(out))

    # -- parts of the forward ------------------------------------------------------------------------------------------

    @contextmanager
    def _watched(self, trace: Trace | None, wanted: set[Layer], kept: dict[Layer, Tensor]) -> Iterator[None]:
        """Hooks and the attention interface while the model runs; everything as before afterwards."""
        asked = trace is not None and any(
            trace.wants(name) for name in names_of_trace(self.depth) if _part(name) in SEEN
        )
        with ExitStack() as stack:
            if trace is not None or wanted:
                stack.enter_context(self._lock)
            if self.blocks and (wanted or (trace is not None and "states" not in self.gaps)):
                stack.enter_context(with_states(self.blocks, trace, wanted, kept))
            if asked and trace is not None:
                stack.enter_context(capturing(self.model, Capture(trace, self.depth)))
            yield

    def _run(self, tokens: Tokens, trace: Trace | None) -> Any:
        try:
            return self.model(**self._inputs(tokens))
        except ValueError as error:
            if trace is not None:  # it may be the trace's own
                raise
            line = " ".join(str(error).split())
            raise ModelError(
                f"this {self.config.model_type} model of transformers refuses the batch: {line}"
            ) from error

    def _refuse_gaps(self, layers: Sequence[Layer], trace: Trace | None) -> None:
        if layers and "states" in self.gaps:
            raise TraceError(
                f"this model's blocks give no states of all tokens; only the last states can be read, got {layers}."
            )
        if trace is None:
            return
        gaps = self.gaps
        for name in names_of_trace(self.depth):
            if _part(name) in gaps and trace.wants(name):
                raise TraceError(
                    f"{name!r} cannot be given by this {self.config.model_type} model; it lacks {', '.join(gaps)}."
                )

    def _block(self, layer: int) -> int:
        at = layer + self.depth if layer < 0 else layer
        if not 0 <= at < self.depth:
            raise ModelError(f"there is no block {layer}: this model has blocks 0 to {self.depth - 1}.")
        return at

    def _inputs(self, tokens: Tokens) -> dict[str, Any]:
        if tokens.ids_BL is not None:
            longest, room = tokens.ids_BL.shape[1], self.positions
            if room is not None and longest > room:
                raise ModelError(
                    f"a text of {longest} tokens does not fit: this model has positions for {room}. Cut it."
                )
            return {"input_ids": tokens.ids_BL, "attention_mask": tokens.mask_BL.long()}
        if tokens.pixels is None or self.modality == "text":
            raise ModelError("this is a text model and the batch holds images (or the other way round).")
        return {"pixel_values": tokens.pixels}

    def _last(self, out: Any, tokens: Tokens) -> tuple[Tensor, tuple[int, int] | None]:
        """(B, L, D) and the patch grid; a map of patches is read row by row."""
        last = out.last_hidden_state
        if last.dim() == 4:
            return by_patch(last, numbers_last=self._probe.numbers_last)
        if tokens.pixels is None:
            return last, None
        special = sum(self.layout.count(role) for role in SPECIAL)
        return last, grid_of(last.shape[1] - special, tokens.pixels.shape[2], tokens.pixels.shape[3])

    def _roles(self, tokens: Tokens, last: Tensor) -> Tensor:
        if tokens.pixels is None or tokens.roles_BL.shape[1] == last.shape[1]:
            return tokens.roles_BL
        special = [int(role) for role, n in self.layout.runs if role != Role.CONTENT for _ in range(n or 0)]
        roles = special + [int(Role.CONTENT)] * (last.shape[1] - len(special))
        return torch.tensor(roles, device=last.device).expand(len(last), -1)

    def probe(self) -> None:
        """Run the model on random input, once. Raises whatever it says to one text or image and nothing else."""
        if "_probe" not in self.__dict__:
            self.__dict__["_probe"] = self._probed()

    # -- what a run shows ----------------------------------------------------------------------------------------------

    @cached_property
    def _probe(self) -> _Probe:
        return self._probed()

    @torch.no_grad()
    def _probed(self) -> _Probe:
        """Two random inputs, and the first of them once more through the attention interface."""
        inputs = [self.random_input(seed) for seed in (0, 1)]
        seen: list[dict[Layer, Tensor]] = [{}, {}]
        last: list[Tensor] = []
        every: set[Layer] = {"embeddings", *range(self.depth)}
        for batch, kept in zip(inputs, seen, strict=True):
            with ExitStack() as stack:
                if self.blocks:
                    stack.enter_context(with_states(self.blocks, None, every, kept))
                out = self.model(**batch)
                pooled = pooled_of(out)
                last.append(self._states_in(out))
        self._check_repeats(inputs[0], last[0])
        numbers_last = last[0].dim() == 4 and has_numbers_last(last[0], *image_size(self.config))
        plain, grid = by_patch(last[0], numbers_last=numbers_last) if last[0].dim() == 4 else (last[0], None)
        uniform = seen[0].keys() == every and all(x.shape == plain.shape for x in seen[0].values())
        attention = uniform and self._shows_attention(inputs[0], plain)
        layout = self._layout(plain, grid, seen if uniform else None)
        if self.modality == "image" and layout.grid is None and pooled is None:
            raise UnsupportedModel(
                f"a model of type '{self.config.model_type}' gives {plain.shape[1]} states of its own for one image, "
                "as those that look for objects do, and none for its patches."
            )
        pooled_size = None if pooled is None else pooled.shape[1]
        return _Probe(layout, plain.shape[-1], uniform, attention, pooled_size, numbers_last)

    def _states_in(self, out: Any) -> Tensor:
        """The states of one input's tokens. Raises `UnsupportedModel` where a model gives something else."""
        last = getattr(out, "last_hidden_state", None)
        if isinstance(last, Tensor) and last.dim() in (3, 4) and len(last) == 1:
            return last
        given = ", ".join(out.keys()) if hasattr(out, "keys") else type(out).__name__
        shape = f" of shape {tuple(last.shape)}" if isinstance(last, Tensor) else ""
        raise UnsupportedModel(
            f"a model of type '{self.config.model_type}' gives no state for each token of one {self.modality}, but "
            f"{given}{shape}."
        )

    def _check_repeats(self, batch: dict[str, Tensor], first: Tensor) -> None:
        """Raise `UnsupportedModel` where the same input gives other states in a second run."""
        again = self._states_in(self.model(**batch))
        if again.shape != first.shape or float((again - first).abs().max()) > EQUAL * float(first.abs().max()):
            raise UnsupportedModel(
                f"a model of type '{self.config.model_type}' gives other states for the same {self.modality} in each "
                "run."
            )

    def _causal_on(self, seed: int) -> bool:
        """No token moves with one behind it, and some token moves with one before it."""
        batch = self.random_input(seed)
        before = tensor_of(self.model(**batch))
        moved = []
        for place in range(batch["input_ids"].shape[1]):
            ids = batch["input_ids"].clone()
            ids[0, place] = 1 + ids[0, place] % max(1, self._pieces - 2)
            after = tensor_of(self.model(**batch | {"input_ids": ids}))
            moved.append((after - before).abs().amax(-1)[0] > EQUAL * before.abs().max())
        earlier = any(bool(seen[:place].any()) for place, seen in enumerate(moved))
        later = any(bool(seen[place + 1 :].any()) for place, seen in enumerate(moved))
        return later and not earlier

    @property
    def _pieces(self) -> int:
        """How many ids there are; 256 where a model reads characters or bytes and names no number."""
        return int(getattr(self.config, "vocab_size", None) or self.vocabulary or 256)

    def random_input(self, seed: int, length: int = 7) -> dict[str, Tensor]:
        """One input that this model takes, for experiments; a text of so many tokens."""
        generator = torch.Generator().manual_seed(seed)
        parameter = next(self.model.parameters())
        if self.modality == "text":
            ids = torch.randint(1, max(2, self._pieces), (1, length), generator=generator).to(parameter.device)
            return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        height, width = image_size(self.config)
        pixels = torch.randn(1, int(getattr(self.config, "num_channels", 3)), height, width, generator=generator)
        return {"pixel_values": pixels.to(parameter)}

    def _layout(self, plain: Tensor, grid: tuple[int, int] | None, seen: list[dict[Layer, Tensor]] | None) -> Layout:
        """Roles in order; `grid` is that of a map of patches, None where the model gives a list of states."""
        if self.modality == "text":
            return Layout(((Role.CONTENT, None),))
        height, width = image_size(self.config)
        if grid is not None:
            return Layout(((Role.CONTENT, plain.shape[1]),), grid)
        if seen is None:
            count = plain.shape[1]
            grid, inner = grid_of(count, height, width), grid_of(count - 1, height, width)
            if grid is None and inner is not None:  # a class token that joins the patches in the last stage (PVT)
                return Layout(((Role.CLASS, 1), (Role.CONTENT, count - 1)), inner)
            return Layout(((Role.CONTENT, count),), grid)
        first, second = (kept["embeddings"] for kept in seen)
        fixed = (first == second).all(-1)[0].tolist()
        special = sum(fixed)
        if fixed != [True] * special + [False] * (len(fixed) - special):
            raise ModelError(
                f"the tokens of this {self.config.model_type} model that no image changes do not stand first."
            )
        classes = self.class_tokens(special)
        runs = ((Role.CLASS, classes), (Role.REGISTER, special - classes), (Role.CONTENT, len(fixed) - special))
        return Layout(tuple((role, n) for role, n in runs if n), grid_of(len(fixed) - special, height, width))

    def class_tokens(self, constant: int) -> int:
        """How many of the constant tokens in front are class tokens: those that the pooled output reads, one at least.

        The states of all tokens are captured where they leave the model's last norm; the pooled output's gradient says
        which of them it reads.
        """
        if constant < 2:
            return constant
        with torch.enable_grad():
            out = self.model(**self.random_input(2))
            last, pooled = tensor_of(out), pooled_of(out)
            if pooled is None or last.dim() != 3 or not last.requires_grad:
                return 1
            (read,) = torch.autograd.grad(pooled.square().sum(), last, allow_unused=True)
        if read is None:
            return 1
        places = read.abs().amax(-1)[0, :constant] > 0
        return max(1, int(places.sum())) if not bool(read[0, constant:].any()) else 1

    def _shows_attention(self, batch: dict[str, Tensor], plain: Tensor) -> bool:
        """Whether a run through the interface is captured in full and gives the same states."""
        capture = Capture(None, self.depth)
        with capturing(self.model, capture, strict=False):
            again = tensor_of(self.model(**batch))
        length = plain.shape[1]
        whole = [shape[-2:] == (length, length) and shape[0] == 1 for shape in capture.shapes]
        error = float((again - plain).abs().max() / plain.abs().max().clamp(min=1e-12))
        return len(whole) == self.depth and all(whole) and error < EQUAL


SPECIAL = (Role.CLASS, Role.DISTILLATION, Role.REGISTER)


def has_numbers_last(last: Tensor, height: int, width: int) -> bool:
    """Whether a map of patches is (B, h, w, D), not (B, D, h, w): its first two axes alone have the image's shape."""
    _, one, two, three = last.shape
    return one * width == two * height and two * width != three * height


def by_patch(last: Tensor, *, numbers_last: bool) -> tuple[Tensor, tuple[int, int]]:
    """A map of patches as (B, L, D), row by row, and its grid."""
    if numbers_last:
        return last.flatten(1, 2), (last.shape[1], last.shape[2])
    return last.flatten(2).transpose(-2, -1), (last.shape[2], last.shape[3])


def _first_position(table: nn.Embedding) -> int:
    """Where a table of positions begins to count: behind the padding's place where it has one (fairseq's habit)."""
    offset = int(getattr(table, "offset", 0))
    return offset if table.padding_idx is None else max(offset, table.padding_idx + 1)


def _part(name: str) -> str:
    return name.rsplit(".", 1)[-1]
