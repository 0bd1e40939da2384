"""Everything in which two encoders differ, as plain values. A family row turns a config into one of these.

`Shape` = hidden size, depth, and three groups: how tokens are made (`stem`), what a block does (`block`), and how
positions enter (`position`). It never holds a model's name: the encoder cannot ask which family it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from classtoken.errors import ModelError
from classtoken.plain import AtLeastOne, Count, Limits, Misfit, decode, encode
from classtoken.values import Layout, Role

Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "silu", "relu"]
Resize = Literal["bicubic", "bicubic_antialias", "bilinear", "bilinear_antialias"]
ALL_BIASES = frozenset({"query", "key", "value", "output", "up", "down"})
NO_BIASES: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class TextStem:
    """Word pieces: token + position + kind embeddings, a norm, and for ALBERT and ELECTRA a projection to D."""

    json_kind: ClassVar[str] = "text"
    vocabulary: AtLeastOne
    """word pieces that there are"""
    embedding_size: AtLeastOne | None = None
    """size of embeddings that are projected to D; None: they have size D and no projection"""
    positions: Count = 0
    """learned absolute positions; 0 for none"""
    sinusoidal: bool = False
    """fixed sine and cosine positions instead of learned ones (Vaswani et al. 2017)"""
    position_offset: Count = 0
    """RoBERTa and MPNet begin to count at padding id + 1"""
    kinds: Count = 0
    """token type embeddings (segment A, segment B)"""
    norm: bool = True
    """a norm on the sum of the embeddings"""


@dataclass(frozen=True, kw_only=True)
class ImageStem:
    """Patches, and the learned tokens put before (or, with `class_last`, behind) them."""

    json_kind: ClassVar[str] = "image"
    patch: AtLeastOne
    """pixels a side of a patch"""
    image: tuple[AtLeastOne, AtLeastOne]
    """height and width in pixels for which the positions were learned"""
    channels: AtLeastOne = 3
    """of the pictures"""
    patch_bias: bool = True
    """a bias in the projection of the patches"""
    cut_patches: bool = False
    """pixels come as patches already, flattened row by row with the channel last (SigLIP 2)"""
    convolutions: tuple[tuple[AtLeastOne, AtLeastOne], ...] = ()
    """(channels, stride) of 3x3 convolutions, each pooled by its stride, before the patches are taken"""
    class_tokens: Count = 0
    """learned vectors before the patches that read them; a recipe that does not say has one"""
    distillation_tokens: Count = 0
    """a second kind of class token, which learns from a teacher (DeiT)"""
    registers: Count = 0
    """learned tokens that are read by others and by no pooling (Darcet et al. 2023)"""
    class_last: bool = False
    """the class tokens stand behind the patches instead of before them"""
    positions: Literal["none", "learned", "sinusoidal"] = "learned"
    """how a token knows where it stands"""
    positioned: frozenset[Role] = frozenset({Role.CLASS, Role.DISTILLATION, Role.CONTENT})
    """roles whose tokens have a position embedding"""
    resize: Resize = "bicubic"
    """how positions are brought to another grid"""
    norm: bool = False
    """a norm on the tokens before the first block (CLIP)"""

    @property
    def grid(self) -> tuple[int, int]:
        """The patch grid of the native image size."""
        return (self.image[0] // self.patch, self.image[1] // self.patch)

    def layout(self, grid: tuple[int, int] | None = None) -> Layout:
        """Roles in order for a patch grid (the native one if none is given)."""
        grid = grid or self.grid
        special = ((Role.CLASS, self.class_tokens), (Role.DISTILLATION, self.distillation_tokens))
        scratch, patches = (Role.REGISTER, self.registers), (Role.CONTENT, grid[0] * grid[1])
        runs = (scratch, patches, *special) if self.class_last else (*special, scratch, patches)
        return Layout(tuple((role, n) for role, n in runs if n), grid)


@dataclass(frozen=True, kw_only=True)
class BlockShape:
    """One block: attention and feed-forward, each with a norm and a residual."""

    heads: AtLeastOne
    """attention heads; they share the hidden size among them"""
    feedforward_size: AtLeastOne
    """size between the two matrices of the feed-forward half"""
    key_value_heads: AtLeastOne | None = None
    """fewer key/value heads than query heads (grouped-query attention)"""
    head_size: AtLeastOne | None = None
    """K, when it is not D / H"""
    norm: Literal["layer", "rms"] = "layer"
    """mean and variance, or the root of the mean square"""
    norm_eps: Annotated[float, Limits(ge=0)] = 1e-12
    """what is added under the root of a norm"""
    norm_bias: bool = True
    """a bias in every norm"""
    order: Literal["pre", "post"] = "pre"
    """pre: x + f(norm(x)); post: norm(x + f(x))"""
    first_norm: bool = True
    """ModernBERT has no norm in front of the first attention"""
    final_norm: bool = True
    """a norm after the last block"""
    activation: Activation = "gelu"
    """between the two matrices of the feed-forward half"""
    gated: bool = False
    """activate(gate(x)) * up(x) instead of activate(up(x))"""
    feedforward_norm: bool = False
    """a norm inside the feed-forward, before it comes down to D (EVA02)"""
    biases: frozenset[str] = ALL_BIASES
    """matrices that have a bias: query, key, value, output, up, down"""
    head_norm: bool = False
    """an RMS norm on every query and key head"""
    layer_scale: bool = False
    """a learned factor per channel on what each half of the block adds"""
    causal: bool = False
    """a token reads those before it alone"""
    scaled: bool = True
    """divide the scores by sqrt(K); T5 does not"""
    windows: tuple[Count, ...] = ()
    """per block: a token sees that many tokens to either side; 0 is global"""
    shared: Count = 0
    """ALBERT: so many sets of weights serve all blocks; 0 is one set a block"""


@dataclass(frozen=True, kw_only=True)
class CountedGrid:
    """Coordinates of patches for rotary angles: (row + offset) / rows * reference rows, and so for columns."""

    reference: tuple[AtLeastOne, AtLeastOne]
    """rows and columns of the grid to which others are stretched"""
    offset: float = 0.0
    """the first row's number"""
    columns_first: bool = False
    """the column's angles stand before the row's"""


@dataclass(frozen=True, kw_only=True)
class PositionShape:
    """Positions that enter in the attention instead of in the stem."""

    rotary: tuple[Annotated[float, Limits(ge=0)], ...] = ()
    """per block, the base of the rotary angles; 0 leaves a block without"""
    rotary_grid: bool = False
    """rotary angles from the two coordinates of a patch (DINOv3); other roles are not rotated"""
    counted: "CountedGrid | None" = None
    """with `rotary_grid`: patches are counted (EVA02, Perception Encoder) instead of placed in [-1, 1] (DINOv3)"""
    rotary_pairs: bool = False
    """neighbouring numbers of a head are turned together (timm) instead of those half a head apart"""
    buckets: Count = 0
    """T5's relative position buckets, one bias per bucket and head, shared by the blocks"""
    bucket_reach: AtLeastOne = 128
    """distance from which on all share the last bucket"""
    tables: Literal["none", "block", "shared"] = "none"
    """BEiT's relative position tables over the patch grid, one a block or one for all"""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The whole encoder as values; `Encoder(shape)` builds it."""

    hidden_size: AtLeastOne
    """D: numbers of a state"""
    depth: AtLeastOne
    """blocks, one after another"""
    stem: TextStem | ImageStem
    block: BlockShape
    position: PositionShape = field(default_factory=PositionShape)

    def __post_init__(self) -> None:
        if self.block.head_size is None and self.hidden_size % self.block.heads:
            raise ModelError(
                f"hidden size {self.hidden_size} cannot be split over {self.block.heads} heads. Give a head count that "
                "divides it, or a head_size."
            )
        for name, values in (("windows", self.block.windows), ("rotary", self.position.rotary)):
            if values and len(values) != self.depth:
                raise ModelError(
                    f"'{name}' has {len(values)} entries for {self.depth} blocks; give one a block or none."
                )

        if self.position.rotary and self.head_size % 2:
            raise ModelError(f"rotary positions need an even head size, got {self.head_size}.")
        if self.position.tables != "none" and [role for role, _ in self.layout.runs] != [Role.CLASS, Role.CONTENT]:
            raise ModelError(f"relative position tables need one class token before the patches; got {self.layout}.")

    @property
    def head_size(self) -> int:
        """K: size of one query, key or value."""
        return self.block.head_size or self.hidden_size // self.block.heads

    @property
    def layout(self) -> Layout:
        """Roles in order; texts have an open number of word pieces."""
        if isinstance(self.stem, ImageStem):
            return self.stem.layout()
        return Layout(((Role.CONTENT, None),))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `shape_from_dict` is the inverse."""
        plain: dict[str, Any] = encode(self)
        return plain


def shape_from_dict(plain: Mapping[str, Any], where: str = "shape") -> Shape:
    """Build a `Shape` from JSON values; what does not fit raises `ModelError` that names the field, below `where`."""
    stem = plain.get("stem")
    if isinstance(stem, Mapping) and "kind" not in stem:
        plain = {**plain, "stem": {**stem, "kind": "image" if "patch" in stem else "text"}}
    try:
        return decode(plain, Shape, where)
    except Misfit as error:
        raise ModelError(f"{error}.") from error
