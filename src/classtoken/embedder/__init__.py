"""Inputs -> vectors, as the checkpoint's authors meant it: preprocessing + encoder + readout under one contract."""

from classtoken.embedder.embedder import Embedder, classifying_sides, with_prompt
from classtoken.embedder.loading import load, open_model
from classtoken.embedder.prompting import PromptWords, prompt_for_role
from classtoken.embedder.spec import PRECISIONS, ModelSpec, name_of
from classtoken.embedder.tower import Tower, preprocessor

__all__ = [
    "PRECISIONS",
    "Embedder",
    "ModelSpec",
    "PromptWords",
    "Tower",
    "classifying_sides",
    "load",
    "name_of",
    "open_model",
    "preprocessor",
    "prompt_for_role",
    "with_prompt",
]
