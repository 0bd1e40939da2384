"""Counts of a service, in the text format of Prometheus."""

import resource
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

#: Upper bounds of the histogram of seconds.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass
class ServiceCounts:
    """What has happened since the service began; counted in one thread."""

    requests: Counter[int] = field(default_factory=Counter)
    inputs: int = 0
    tokens: int = 0
    cut: int = 0
    seconds: float = 0.0
    within: Counter[float] = field(default_factory=Counter)

    def answered(self, status: int, seconds: float) -> None:
        """One request was answered."""
        self.requests[status] += 1
        self.seconds += seconds
        for bound in SECONDS:
            self.within[bound] += seconds <= bound

    def text(self, now: Mapping[str, tuple[str, float]]) -> str:
        """As /metrics gives it; `now` are gauges: name -> (help, value)."""
        return "\n".join([*self._lines(now), ""])

    def _lines(self, now: Mapping[str, tuple[str, float]]) -> Iterator[str]:
        yield from _head("requests_total", "counter", "Requests by status.")
        for status, count in sorted(self.requests.items()):
            yield f'classtoken_requests_total{{status="{status}"}} {count}'
        counters: dict[str, tuple[str, float]] = {
            "inputs_total": ("Inputs embedded.", self.inputs),
            "tokens_total": ("Tokens computed.", self.tokens),
            "inputs_cut_total": ("Inputs that were longer than their model takes.", self.cut),
        }
        for name, (says, value) in counters.items():
            yield from _head(name, "counter", says)
            yield f"classtoken_{name} {value:.0f}"
        yield from _head("request_seconds", "histogram", "Seconds from the head of a request to its answer.")
        for bound in SECONDS:
            yield f'classtoken_request_seconds_bucket{{le="{bound:g}"}} {self.within[bound]}'
        total = sum(self.requests.values())
        yield f'classtoken_request_seconds_bucket{{le="+Inf"}} {total}'
        yield f"classtoken_request_seconds_sum {self.seconds:.6f}"
        yield f"classtoken_request_seconds_count {total}"
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        gauges = {**now, "largest_memory_bytes": ("The most memory that the process has held.", largest)}
        for name, (says, level) in gauges.items():
            yield from _head(name, "gauge", says)
            yield f"classtoken_{name} {level:g}"


def _head(name: str, kind: str, says: str) -> Iterator[str]:
    yield f"# HELP classtoken_{name} {says}"
    yield f"# TYPE classtoken_{name} {kind}"
