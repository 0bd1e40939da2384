"""Sockets, and how an application is run on one: slow, idle and too many connections are dropped."""

import ipaddress
import secrets
import socket
from collections.abc import Callable, Sequence
from typing import Any

from classtoken.errors import OptionError
from classtoken.extras import need

#: What this machine calls itself: a name that was rebound to loopback is another.
LOCAL_HOSTS = ["127.0.0.1", "localhost", "[::1]"]


def checked_host(host: str, what: str = "the walkthrough is served", instead: str = "") -> str:
    """A loopback address. Raises `OptionError` for any other, with what would let it in (`instead`), if anything."""
    address = _address(host)
    if not address.is_loopback:
        way = (
            f"Others need a key: give a file of them with {instead}."
            if instead
            else "From another one, tunnel: ssh -L 8765:127.0.0.1:8765 THIS_MACHINE; or write the page to a file with "
            "`out`."
        )
        raise OptionError(f"`host` is {host}: {what} to this machine only (127.0.0.1, ::1 or localhost). {way}")
    return str(address)


def served_host(host: str) -> str:
    """Any address of this machine. Raises `OptionError` for what is none."""
    return str(_address(host))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise OptionError(f"`host` is {host}: not an address; it may be 127.0.0.1, ::1 or localhost.") from None


def new_key() -> str:
    """A key that cannot be guessed; a new one for every process."""
    return secrets.token_urlsafe(32)


def bound(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises `OptionError` when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends small answers at once (TCP_NODELAY) instead of 40 ms later.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(128)  # who comes before the application runs waits, and is not turned away
    except OSError as error:
        sock.close()
        raise OptionError(
            f"`port` is {port}: cannot be used ({error.strerror}); give another one, or 0 for any."
        ) from None
    return sock


def address_of(sock: socket.socket, key: str) -> str:
    """What to open in a browser: the key stands in the fragment, which is never sent."""
    host, port = sock.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/#key={key}"


def run_app(
    app: Any,
    sock: socket.socket,
    ready: Callable[[], None] | None = None,
    *,
    hosts: Sequence[str] = (),
    connections: int = 100,
    graceful_seconds: int = 3,
) -> None:
    """Serve until interrupted; then what is being answered has `graceful_seconds` to end.

    hosts: names that requests may call this server by; a web page of a rebound name is refused. A connection is dropped
    that takes longer than some seconds for the head of a request, or is idle so long.
    """
    uvicorn = need("uvicorn", "serving")
    from classtoken.serve.impatient import ImpatientProtocol

    if hosts:
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        app = TrustedHostMiddleware(app, allowed_hosts=hosts, www_redirect=False)
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=graceful_seconds,
        limit_concurrency=connections,
        h11_max_incomplete_event_size=32_768,
        http=ImpatientProtocol,
        ws="none",
        lifespan="off",
        proxy_headers=False,
    )
    if ready is not None:
        ready()
    uvicorn.Server(config).run(sockets=[sock])
