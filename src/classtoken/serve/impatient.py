"""uvicorn's protocol with the limits that it lacks: for the head of a request, and for clients that never read."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class ImpatientProtocol(H11Protocol):
    """Drops a connection whose next request does not begin in time, and one whose client stops reading its answer."""

    head_seconds = 10.0
    reading_seconds = 60.0
    _head: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head = self.loop.call_later(self.head_seconds, transport.close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:  # a request has begun: its body has a limit of its own
            _stop(self._head)
            self._head = None
        elif self._head is None:
            self._head = self.loop.call_later(self.head_seconds, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading = self.loop.call_later(self.reading_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        _stop(self._reading)

    def connection_lost(self, exc: Exception | None) -> None:
        _stop(self._head)
        _stop(self._reading)
        super().connection_lost(exc)


def impatient(head_seconds: float) -> type[ImpatientProtocol]:
    """The protocol with another limit for the head of a request."""
    return type("ImpatientProtocol", (ImpatientProtocol,), {"head_seconds": head_seconds})


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
