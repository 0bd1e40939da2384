"""What every service here does with a request: read its body within limits, or answer with a status and a sentence."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect, Request


class RequestError(Exception):
    """A request that is answered with a status and a sentence; `about` names the field that is meant."""

    def __init__(self, status: int, says: str, *, about: str | None = None, headers: Mapping[str, str] | None = None):
        super().__init__(says)
        self.status, self.says, self.about = status, says, about
        # What is left of a body is not read.
        self.headers = {"Connection": "close"} if status in (408, 413) else dict(headers or {})


@dataclass
class BodyReader:
    """Bodies, counted while they stream in: how large one may be, how long it may take, how much all may hold."""

    seconds: float
    altogether: int | None = None
    held: int = field(default=0, init=False)

    async def read(self, request: Request, limit: int) -> bytes:
        """The body. Raises `RequestError` 413 for one that is too large, 408 for one that is too slow, 400 for one that
        breaks off, and 429 where others hold all the memory that bodies may take."""
        declared = request.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > limit:
            raise RequestError(413, f"the body has {declared} bytes; at most {limit} are read")
        content = bytearray()
        try:
            async with asyncio.timeout(self.seconds):
                async for chunk in request.stream():
                    content += chunk
                    self.held += len(chunk)
                    if len(content) > limit:
                        raise RequestError(413, f"the body is larger than {limit} bytes")
                    if self.altogether is not None and self.held > self.altogether:
                        raise RequestError(429, "other requests' bodies fill the memory", headers={"Retry-After": "1"})
        except TimeoutError:
            raise RequestError(408, f"the body took longer than {self.seconds:g} seconds") from None
        except ClientDisconnect:
            raise RequestError(400, "the body broke off") from None
        finally:
            self.held -= len(content)
        return bytes(content)
