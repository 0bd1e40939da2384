"""Whether all ids of a source differ, however many there are."""

import hashlib
import sys
from array import array
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from classtoken.errors import SourceError

#: Duplicate ids that an error names.
NAMED = 3


def refuse_duplicates(name: str, ids: Callable[[], Iterator[str]]) -> None:
    """Raises `SourceError` where ids of a source are not unique, naming the first few.

    Eight bytes a record decide that all ids differ; only when two of them agree are ids themselves compared: `ids`
    runs through them again.
    """
    hashes = array("Q", map(_id_hash, ids()))
    values, counts = np.unique(np.frombuffer(hashes, dtype=np.uint64), return_counts=True)
    suspects = set(values[counts > 1].tolist())
    if not suspects:
        return
    seen: set[str] = set()
    repeated: dict[str, None] = {}
    for identity in ids():
        if _id_hash(identity) in suspects:
            if identity in seen:
                repeated[identity] = None
            seen.add(identity)
    if repeated:
        shown = ", ".join(repr(one) for one in islice(repeated, NAMED))
        more = f" and {len(repeated) - NAMED} more" if len(repeated) > NAMED else ""
        raise SourceError(
            f"{name} has ids that are not unique: {shown}{more}. "
            "Name another column with `id_column`, or rename the column to use row numbers."
        )


def _id_hash(identity: str) -> int:
    digest = hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), sys.byteorder)
