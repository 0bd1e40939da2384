"""What `export` gives back."""

from dataclasses import dataclass

from classtoken.results.base import Result


@dataclass(frozen=True)
class GraphParity(Result):
    """An ONNX graph and the proof of it: over so many vectors (batches of 1, 2 and 4, texts padded on either side) the
    largest difference of a number relative to the vector's length, and the lowest cosine, in ONNX Runtime alone."""

    file: str
    modality: str
    inputs: tuple[str, ...]
    output: str
    size: int
    largest_difference: float
    lowest_cosine: float
    vectors: int
    runtime: str
    bytes: int


@dataclass(frozen=True)
class ExportResult(Result):
    """What was handed over: the folder, in which format, of what; `graphs` with their proofs, or `rows` of vectors.

    `contract` is the vector in words, `prompt` what has to be put before a text, `longest` the tokens that a text may
    have.
    """

    out: str
    format: str
    model: str
    fingerprint: str
    contract: str = ""
    prompt: str = ""
    longest: int | None = None
    graphs: tuple[GraphParity, ...] = ()
    rows: int = 0

    def __str__(self) -> str:
        if not self.graphs:
            return f"{self.rows} vectors of {self.model} as {self.format}: {self.out}"
        lines = [f"{self.model} as {self.format}: {self.out} ({self.contract})"]
        for graph in self.graphs:
            goes = f"{', '.join(graph.inputs)} -> {graph.output} ({graph.size})"
            off = f"off by at most {graph.largest_difference:.1g} of their length"
            lines.append(f"  {graph.file}: {goes}, {graph.bytes / 1e6:.1f} MB")
            lines.append(f"    the same vectors in {graph.runtime}: {off}")
        if self.prompt:
            lines.append(f"  put {self.prompt!r} before every text")
        return "\n".join(lines)
