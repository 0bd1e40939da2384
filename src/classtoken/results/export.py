"""What `export` gives back."""

from dataclasses import dataclass

from classtoken.results.base import Result, counted


@dataclass(frozen=True)
class GraphParity(Result):
    """An ONNX graph and the proof of it: over so many vectors (batches of 1, 2 and 4, texts padded on either side) the
    largest difference of a number relative to the vector's length, and the lowest cosine, in ONNX Runtime alone."""

    file: str
    """the graph"""
    modality: str
    inputs: tuple[str, ...]
    """names of its inputs"""
    output: str
    """name of its output"""
    size: int
    """numbers of a vector"""
    largest_difference: float
    """of a number, relative to the vector's length"""
    lowest_cosine: float
    """of its vectors and ours"""
    vectors: int
    """how many were compared"""
    runtime: str
    """what ran the graph"""
    bytes: int
    """size of the file"""


@dataclass(frozen=True)
class ExportResult(Result):
    """What was handed over: the folder, of which kind, of what; `graphs` with their proofs, or `rows` of vectors.

    `contract` is the vector in words, `prompt` what has to be put before a text, `longest` the tokens that a text may
    have.
    """

    out: str
    kind: str
    """`onnx`, `lance` or `faiss`"""
    model: str
    fingerprint: str
    """hash of what decides the vectors' numbers"""
    contract: str = ""
    """the vector, in words"""
    prompt: str = ""
    """what has to be put before a text"""
    longest: int | None = None
    """tokens that a text may have"""
    graphs: tuple[GraphParity, ...] = ()
    """each with its proof"""
    rows: int = 0
    """vectors that were written"""
    files: tuple[str, ...] = ()
    """what lies in the folder"""

    def __str__(self) -> str:
        if not self.graphs:
            return f"{counted(self.rows, 'vector')} of {self.model} as {self.kind}: {self.out}"
        lines = [f"{self.model} as {self.kind}: {self.out} ({self.contract})"]
        for graph in self.graphs:
            goes = f"{', '.join(graph.inputs)} -> {graph.output} ({graph.size})"
            off = f"off by at most {graph.largest_difference:.1g} of their length"
            lines.append(f"  {graph.file}: {goes}, {graph.bytes / 1e6:.1f} MB")
            lines.append(f"    the same vectors in {graph.runtime}: {off}")
        if self.prompt:
            lines.append(f"  put {self.prompt!r} before every text")
        return "\n".join(lines)
