"""What can be chosen for each verb: one frozen value a verb, without torch, to JSON and back."""

from classtoken.options.base import Option, OptionField, Options, all_fields
from classtoken.options.shared import SourceOptions
from classtoken.options.verbs import (
    AtlasOptions,
    CompareOptions,
    DuplicatesOptions,
    EmbedOptions,
    ExplainDataOptions,
    ExplainOptions,
    ExplainPairOptions,
    ExportOptions,
    IndexOptions,
    InspectOptions,
    OutliersOptions,
    PredictOptions,
    SearchOptions,
    ServeOptions,
    TrainOptions,
    VerifyOptions,
    WalkthroughOptions,
)

__all__ = [
    "AtlasOptions",
    "CompareOptions",
    "DuplicatesOptions",
    "EmbedOptions",
    "ExplainDataOptions",
    "ExplainOptions",
    "ExplainPairOptions",
    "ExportOptions",
    "IndexOptions",
    "InspectOptions",
    "Option",
    "OptionField",
    "Options",
    "OutliersOptions",
    "PredictOptions",
    "SearchOptions",
    "ServeOptions",
    "SourceOptions",
    "TrainOptions",
    "VerifyOptions",
    "WalkthroughOptions",
    "all_fields",
]
