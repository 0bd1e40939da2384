"""A table of word pieces and nothing behind it: sentence-transformers' StaticEmbedding, model2vec's StaticModel.

The state of a token is its row, whatever stands beside it. Not a transformer: there are no blocks, and nothing to trace
but the rows themselves.
"""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from classtoken.encoder.checkpoint import Checkpoint, LoadedEncoder
from classtoken.encoder.module import PlainModule
from classtoken.errors import ModelError, TraceError, UnsupportedModel, WeightsError
from classtoken.model_folder import whole
from classtoken.tensors import States, Tokens, Trace
from classtoken.values import InputDefaults, Layout, Role

#: Names of tensors: sentence-transformers' own, and model2vec's (rows, which row a token has, a factor for each token).
OWN, ROWS, PLACES, FACTORS = "embedding.weight", "embeddings", "mapping", "weights"


class WordTable(PlainModule):
    """Word pieces in, one row of the table per token out."""

    packable = stepwise = open_weights = trainable = causal = False
    depth = heads = 0
    positions = patch = None

    def __init__(self, rows_VD: Float[Tensor, "V D"]):
        super().__init__()
        self.rows = nn.Parameter(rows_VD, requires_grad=False)

    @property
    def hidden_size(self) -> int:
        """D, the size of a row."""
        return self.rows.shape[1]

    @property
    def vocabulary(self) -> int:
        """V, word pieces that have a row."""
        return self.rows.shape[0]

    @property
    def layout(self) -> Layout:
        """Word pieces; no special tokens."""
        return Layout(((Role.CONTENT, None),))

    @property
    def gaps(self) -> tuple[str, ...]:
        """It has no blocks to look into."""
        return ()

    def forward(
        self,
        tokens: Tokens,
        *,
        layers: Sequence[int | str] = (),
        rows: Collection[Role] | None = None,
        trace: Trace | None = None,
        packed: bool = False,
    ) -> States:
        """The rows of all tokens. Raises `TraceError` for a block's states: there is none."""
        if tokens.ids_BL is None:
            raise ModelError("this is a text model and the batch holds images.")
        blocks = [layer for layer in layers if layer not in ("embeddings", -1)]
        if blocks:
            raise TraceError(f"there is no block {blocks[0]}: this model is a table of word pieces.")
        states_BLD = self.rows[tokens.ids_BL]
        if trace is not None:
            states_BLD = trace("final", trace("embeddings", states_BLD))
        return States(states_BLD, tokens.roles_BL, None, dict.fromkeys(layers, states_BLD), nn.Identity())


def is_word_table(checkpoint: Checkpoint) -> bool:
    """Whether the file holds a table of word pieces and nothing else."""
    names = set(checkpoint.weights.names)
    return names == {OWN} or (ROWS in names and names <= {ROWS, PLACES, FACTORS})


def load_word_table(checkpoint: Checkpoint) -> LoadedEncoder:
    """The table with one row for each token id. Raises `WeightsError` for numbers that are none, and for a place in
    `mapping` that has no row; `UnsupportedModel` for model2vec's folder alone, whose texts it cuts by rules of its own.
    """
    config, folder = whole(checkpoint.config), checkpoint.folder
    if config.get("model_type") == "model2vec" and not (folder / "modules.json").is_file():
        raise UnsupportedModel(
            f"'{folder}' is a model of model2vec, which leaves words out that it does not know, and holds no "
            "modules.json. Save it with sentence-transformers (StaticEmbedding.from_model2vec), and name that folder."
        )
    weights = checkpoint.weights.read()
    rows_VD = weights.get(OWN, weights.get(ROWS))
    assert rows_VD is not None, "asked for by `is_word_table`"
    places, factors = weights.get(PLACES), weights.get(FACTORS)
    if places is not None:
        if bool((places < 0).any()) or int(places.max()) >= len(rows_VD):
            raise WeightsError(f"the weights of {folder} do not fit: mapping names rows that embeddings does not have.")
        rows_VD = rows_VD[places.long()]
    if factors is not None:
        rows_VD = rows_VD * factors.float()[:, None]
    if not bool(torch.isfinite(rows_VD).all()):
        raise WeightsError(f"the weights of {folder} do not fit: 1 not finite: {OWN if OWN in weights else ROWS}.")
    return LoadedEncoder(WordTable(rows_VD).eval(), None, "", {}, InputDefaults(bare=True, tokenizer_alone=True))
