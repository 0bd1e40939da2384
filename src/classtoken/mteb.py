"""MTEB on any readout of any model: `mteb`'s encoder protocol around an `Embedder`.

    import mteb
    from classtoken.mteb import MtebEncoder

    model = MtebEncoder("models/minilm", pooling="cls")          # or the contract's own vector
    mteb.evaluate(model, mteb.get_tasks(tasks=["STSBenchmark"]))

Texts get the prompt that the model has for the task, for its kind, or for queries and documents; what was put before
them stands in `prompts_used`. The similarity is the cosine.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from classtoken.embedder import Embedder, load, prompt_for_role
from classtoken.errors import OptionError
from classtoken.extras import need


class MtebEncoder:
    """An encoder as `mteb` asks for it (`mteb.models.EncoderProtocol`), of version 2 and later.

    model: a MODEL, or an `Embedder` that is loaded. pooling: one vector by name; None for the contract's own. What the
    vectors are is in `fingerprint`, which belongs beside every score. Raises what `load` raises, and `OptionError` for
    several poolings.
    """

    def __init__(
        self,
        model: str | Path | Embedder,
        revision: str | None = None,
        *,
        pooling: str | None = None,
        device: str | None = None,
        batch: int | None = None,
    ):
        self.embedder = (
            model if isinstance(model, Embedder) else load(model, pooling=pooling, revision=revision, device=device)
        )
        self.batch = batch
        self.prompts_used: dict[str, str] = {}
        for side in self.embedder.modalities:
            columns = self.embedder.columns(modality=side)
            if len(columns) > 1:
                raise OptionError(f"`pooling` names {', '.join(columns)}, and a task scores one vector; name one.")

    @property
    def fingerprint(self) -> str:
        """What decides the vectors, as a hash."""
        return self.embedder.fingerprint(modality=self.embedder.modalities[0]).hash()

    @property
    def mteb_model_meta(self) -> Any:
        """The card that `mteb` files results under: the model's name, and the fingerprint as its revision."""
        meta = need("mteb.models.model_meta", "running MTEB").ModelMeta
        pooling = self.embedder.spec.pooling
        name = self.embedder.folder.name + (f"-{pooling}" if pooling else "")
        (size,) = self.embedder.columns(modality=self.embedder.modalities[0]).values()
        said = {
            "name": f"classtoken/{name}",
            "revision": self.fingerprint,
            "embed_dim": size,
            "similarity_fn_name": "cosine",
            "modalities": list(self.embedder.modalities),
        }
        return meta.create_empty(overwrites=said)

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any = None,
        hf_split: str = "",
        hf_subset: str = "",
        prompt_type: Any = None,
        **kwargs: Any,
    ) -> np.ndarray:
        """(inputs, size) float32, of the texts or images of all batches in order. Other keywords are not needed."""
        texts: list[str] = []
        blocks: list[np.ndarray] = []
        for some in inputs:
            if some.get("image") is not None and some.get("text") is not None:
                raise OptionError("an input has a text and an image, and a vector here is of one of them.")
            if some.get("image") is not None:
                blocks.append(self._vectors(list(some["image"]), "image", None))
            else:
                texts += some["text"]
        if texts:
            blocks.append(self._vectors(texts, "text", self._prompt(task_metadata, prompt_type)))
        return np.concatenate(blocks)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> np.ndarray:
        """The cosine of every row of the first with every row of the second."""
        return _unit(embeddings1) @ _unit(embeddings2).T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> np.ndarray:
        """The cosine of each row of the first with the same row of the second."""
        products: np.ndarray = (_unit(embeddings1) * _unit(embeddings2)).sum(-1)
        return products

    def _vectors(self, items: list[Any], side: str, prompt: str | None) -> np.ndarray:
        filled = [n for n, item in enumerate(items) if side == "image" or item.strip()]
        found = self.embedder.embed([items[n] for n in filled], modality=side, prompt=prompt, batch=self.batch)
        assert isinstance(found, np.ndarray)
        if len(filled) == len(items):
            return found
        # The tasks of mteb hold empty texts, for which other encoders give the vector of the tokens around a text.
        asked = self.embedder.route(prompt)
        nothing = asked.tower("text").tokens([""], prompt)
        (vector,) = asked.vectors_of(nothing, modality="text", prompt=prompt).values()
        whole = np.repeat(vector, len(items), axis=0)
        whole[filled] = found
        return whole

    def _prompt(self, task: Any, prompt_type: Any) -> str | None:
        """The name of the prompt for a task: in mteb's order of what is more special; None for the model's own."""
        known = self.embedder.prompts("text")
        role = getattr(prompt_type, "value", prompt_type)
        name, kind = (str(getattr(task, field, "")) for field in ("name", "type"))
        wanted = [f"{name}-{role}", name, f"{kind}-{role}", kind]
        found = role if role in self.embedder.routes else next((each for each in wanted if each in known), None)
        found = found or (prompt_for_role(known, role) if role else None)
        prepare = self.embedder.route(found).tower("text").prepare
        self.prompts_used[f"{name} {role or ''}".strip()] = prepare.prompt_text(found)
        return found


def _unit(vectors: Any) -> np.ndarray:
    rows = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)
