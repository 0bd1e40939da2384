"""What was asked of a folder of vectors: where the same is asked again of the same files, nothing need be opened.

Without torch: a finished folder costs a look at its source and its receipts.
"""

from dataclasses import dataclass
from pathlib import Path

from classtoken.errors import ClasstokenError, OptionError
from classtoken.files import user_path
from classtoken.fingerprint import hash_value
from classtoken.options import EmbedOptions
from classtoken.places import Place
from classtoken.pooling.spec import parse_many
from classtoken.remembered import folder_fingerprint
from classtoken.sink import Manifest, read_manifest
from classtoken.sink.beside import is_up_to_date
from classtoken.sink.manifest import META, has_manifest
from classtoken.sink.parquet import PROBES, receipts
from classtoken.sink.quarantine import quarantine_is_whole
from classtoken.source import Plan, Source, make_plan
from classtoken.source.base import IMAGES, TASK_ROWS
from classtoken.version import NUMBERS, __version__

#: Options that say who computes and what becomes of what is there, not what the vectors are.
NOT_ASKED = ("strict", "update", "gone", "workers", "engine", "address", "tasks", "finish", "overwrite", "format")
#: A folder whose weights may lie in another one.
ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class FinishedRun:
    """A folder that holds what is asked for, and its source as it was listed."""

    manifest: Manifest
    plan: Plan


def asked(model: object, options: EmbedOptions) -> str:
    """A hash of a model's files and of all that decides the vectors; nothing for a model that is no folder here."""
    folder = user_path(model) if isinstance(model, str | Path) else None
    try:
        if folder is None or not folder.is_dir() or (folder / ADAPTER).exists():
            return ""
        files = folder_fingerprint(folder)
    except OSError:
        return ""
    chosen = {name: value for name, value in options.to_dict().items() if name not in NOT_ASKED}
    return hash_value([NUMBERS, __version__, str(folder.resolve()), files, chosen])


def finished(model: object, source: Source, place: Place, options: EmbedOptions) -> FinishedRun | None:
    """What is there where all of it is: asked by the same options of the same model, of a source that is as it was.

    None in all other cases, also where something is wrong: whoever looks closer will say what.
    """
    manifest = _of_the_same(model, place, options)
    if manifest is None:
        return None
    plan = make_plan(source, task_rows=options.part_rows or rows_of_part(options, source), limit=options.limit)
    if (plan.hash, plan.listing.times) != (manifest.plan, manifest.times):
        return None
    done = list(receipts(place))
    if any(receipt.may_pass for receipt in done):
        return None
    whole = sorted(receipt.part.task for receipt in done) == list(range(manifest.tasks)) and quarantine_is_whole(
        place, manifest.refused
    )
    beside = f"{META}/{PROBES}" in place.sizes(META) and is_up_to_date(place, manifest, options.format)
    return FinishedRun(manifest, plan) if whole and beside else None


def _of_the_same(model: object, place: Place, options: EmbedOptions) -> Manifest | None:
    """The manifest of a finished folder of which the same was asked."""
    if options.update or options.overwrite or options.tasks is not None:
        return None
    try:
        manifest = read_manifest(place) if has_manifest(place) else None
    except ClasstokenError:
        return None
    if manifest is None or not manifest.complete or not manifest.rows or (options.strict and manifest.refused):
        return None
    named = manifest.fingerprint.modality == "image" and manifest.kind != IMAGES  # each has to be looked at
    return None if named or not manifest.asked or manifest.asked != asked(model, options) else manifest


def rows_of_part(options: EmbedOptions, source: Source) -> int:
    """Records of one file where nobody says: what a stopped run may have to do again. Fewer of pictures, which take
    long, and where the states of all tokens are kept, which take much room."""
    return TASK_ROWS // 8 if options.tokens or source.kind == IMAGES else TASK_ROWS


def check_options(options: EmbedOptions) -> None:
    """Raise `OptionError` for options that do not go together, and `SpecError` for a pooling that there is not: both
    before a model is loaded."""
    if options.pooling is not None:
        parse_many(options.pooling)
    if options.chunks is None and (options.overlap or options.chunked != "rows"):
        raise OptionError("`overlap` and `chunked` say how `chunks` are cut and kept; give `chunks`, too.")
    if options.tokens and options.store == "int8":
        raise OptionError("`tokens` are stored in fp32 or fp16; `store` is 'int8'.")
    if options.tokens and options.chunked != "rows":
        raise OptionError(
            f"`tokens` are of what is a row, and with `chunked` {options.chunked} that is no text; use rows."
        )
    if options.tasks is not None and (options.overwrite or options.finish):
        other = "overwrite" if options.overwrite else "finish"
        raise OptionError(f"`tasks` does a slice of a run, and `{other}` needs all of it; give one of them.")
    if options.update and options.overwrite:
        raise OptionError("`update` goes on from what the folder holds, and `overwrite` replaces it; give one of them.")
    if options.gone == "keep" and not options.update:
        raise OptionError("`gone` says what an update does with rows that are gone; set `update`, too.")
    if options.address is not None and options.engine != "ray":
        raise OptionError("`address` is that of a Ray cluster; set `engine` to ray, too.")
