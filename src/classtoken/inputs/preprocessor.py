"""What a model's preprocessing is to everyone above `tokens`: the same few calls for texts and for images."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from classtoken.tensors import Tokens
from classtoken.values import Layout, Role


@runtime_checkable
class Preprocessor(Protocol):
    """Items -> rows -> batches, as the checkpoint's authors do it. A row is one prepared item; its type is private.

    `modality` is `text` or `image`. `at_once` is how many items one call of `ready` should get: many where the call has
    threads of its own (tokenizers), 1 where several calls should run side by side (images).
    """

    @property
    def modality(self) -> str: ...

    @property
    def at_once(self) -> int: ...

    @property
    def layout(self) -> Layout:
        """Roles in order, as inputs come out."""

    def identity(self) -> list[Any]:
        """What decides the tokens' numbers besides the prompt, as plain values: equal exactly when they are."""

    def prompt_text(self, prompt: str | None) -> str:
        """The text put before every text: a named prompt's, a literal one, or (None) the checkpoint's own; for images
        none."""

    def describe(self) -> str:
        """One line for people."""

    def advice(self) -> tuple[str, ...]:
        """Oddities to know, one sentence each."""

    def name_of(self, item: Any, place: int) -> str:
        """A few words for error messages about an item that has no id."""

    def ready(self, items: Sequence[Any], *, prompt: str | None = None) -> Sequence[Any]:
        """One row per item. Raises `BadRecord` at the first bad one; may be called from several threads."""

    def batches(
        self, rows: Iterable[tuple[int, Any]], *, most_rows: int | None = None
    ) -> Iterator[tuple[list[int], Tokens]]:
        """Rows with their places -> batches of what goes well together, each with the places of its rows.

        Reads no more than a bounded number of rows ahead. `most_rows` limits a batch.
        """

    def collate(self, rows: Sequence[Any]) -> Tokens:
        """Rows as one batch."""

    def pooled_roles(self, prompt: str | None = None) -> frozenset[Role] | None:
        """Which roles the authors' mean reads after this prompt; None for the readout's own."""


def prepared_by(prepare: Preprocessor) -> list[Any]:
    """All that decides an item's tokens where nothing else is said: `identity`, the prompt, which roles are pooled."""
    pooled = prepare.pooled_roles()
    roles = None if pooled is None else sorted(role.name for role in pooled)
    return [prepare.identity(), prepare.prompt_text(None), roles]
