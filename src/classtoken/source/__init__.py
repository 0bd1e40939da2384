"""Records out of files: listed in a fixed order, cut into tasks, streamed; bad rows are said, never dropped."""

from classtoken.source.base import Entry, Listing, Shard, Source, SourceOptions
from classtoken.source.judged import Pair, PairColumns, read_judgements, read_pairs
from classtoken.source.opening import open_source
from classtoken.source.plan import Plan, Reader, first_record, make_plan

__all__ = [
    "Entry",
    "Listing",
    "Pair",
    "PairColumns",
    "Plan",
    "Reader",
    "Shard",
    "Source",
    "SourceOptions",
    "first_record",
    "make_plan",
    "open_source",
    "read_judgements",
    "read_pairs",
]
