"""A scikit-learn transformer: texts or images in, vectors out, in any pipeline."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from classtoken.embedder import Embedder, ModelSpec, load
from classtoken.errors import OptionError
from classtoken.inputs import listed
from classtoken.inputs.items import TEXTS
from classtoken.values import Precision


class ClassTokenTransformer(TransformerMixin, BaseEstimator):
    """Turns texts or images into the vectors of a frozen encoder; `fit` learns nothing but loads the model.

    The parameters are those of `classtoken.load` and of `Embedder.embed`; a pooling that names several vectors gives
    them side by side. A pickled or cloned transformer holds no weights: the model is loaded again where it is used.
    Parameters that are set on a fitted transformer hold at once, as those that it shows.

    X is a sequence of texts, image paths, Pillow images or arrays; a column of a table (pandas, or an array of shape
    (n, 1) as `ColumnTransformer` hands it on) is taken too. Raises what `load` and `embed` raise.
    """

    def __init__(
        self,
        model: str,
        *,
        pooling: str | None = None,
        normalize: bool | None = None,
        precision: Precision = "fp32",
        device: str | None = None,
        revision: str | None = None,
        modality: str | None = None,
        prompt: str | None = None,
        prompt_text: str | None = None,
    ):
        self.model = model
        self.pooling = pooling
        self.normalize = normalize
        self.precision = precision
        self.device = device
        self.revision = revision
        self.modality = modality
        self.prompt = prompt
        self.prompt_text = prompt_text

    def fit(self, X: Sequence[Any], y: Any = None) -> Self:
        """Load the model; X and y are not looked at."""
        self._read()
        return self

    def transform(self, X: Sequence[Any]) -> np.ndarray:
        """Vectors (n, d) float32."""
        self._check()
        items = _items(X)
        if not items:
            return np.empty((0, sum(self.columns_.values())), np.float32)
        embedder = getattr(self, "_embedder", None) or self._read()
        vectors = embedder.embed(items, modality=self.modality, prompt=self.prompt, prompt_text=self.prompt_text)
        return np.hstack(list(vectors.values())) if isinstance(vectors, dict) else vectors

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """`cls_0`, `cls_1`, ...: the vector's name and the number's place in it."""
        self._check()
        names = [f"{name}_{place}" for name, size in self.columns_.items() for place in range(size)]
        return np.asarray(names, dtype=object)

    def _check(self) -> None:
        """That it is fitted; and what was read of a model goes by the parameters that it has now."""
        check_is_fitted(self, "columns_")
        if self._asked() != getattr(self, "_found", None):
            self._read()

    def _read(self) -> Embedder:
        asked = self._asked()
        self._embedder: Embedder = load(asked[0])
        self.columns_, self._found = self._embedder.columns(modality=self.modality), asked
        return self._embedder

    def _asked(self) -> tuple[ModelSpec, str | None]:
        """What decides which vectors there are and what they are called."""
        spec = ModelSpec(self.model, self.pooling, self.normalize, self.precision, self.device, self.revision)
        return spec, self.modality

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_embedder"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.no_validation = True
        return tags


def _items(X: Any) -> list[Any]:
    """The items of a sequence, or of the only column of a table."""
    if isinstance(X, str | bytes):
        raise OptionError("X is one text; give a sequence of items, such as [text].")
    values = X.to_numpy() if hasattr(X, "to_numpy") else X
    if isinstance(values, np.ndarray) and values.dtype.kind in TEXTS and values.ndim == 2:
        if values.shape[1] != 1:
            raise OptionError(f"X has {values.shape[1]} columns; choose one, for example with ColumnTransformer.")
        values = values[:, 0]
    items = listed(values)
    if len(items) == 1 and items[0] is values:
        what = f"an array of shape {values.shape}" if isinstance(values, np.ndarray) else f"a {type(values).__name__}"
        raise OptionError(
            f"X is {what}, which is one item and not rows; give a list of items, or pictures as an array (N, H, W, 3)."
        )
    return items
