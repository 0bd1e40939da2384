"""Run an application on loopback, and on nothing else."""

import ipaddress
import secrets
import socket
from collections.abc import Callable
from typing import Any

from classtoken.errors import OptionError
from classtoken.extras import need


def checked_host(host: str) -> str:
    """A loopback address. Raises `OptionError` for any other: there is no log-in here that could guard one."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise OptionError(f"`host` is {host}: not an address; it may be 127.0.0.1, ::1 or localhost.") from None
    if not address.is_loopback:
        raise OptionError(
            f"`host` is {host}: the walkthrough is served to this machine only (127.0.0.1, ::1 or localhost). From "
            f"another one, tunnel: ssh -L 8765:127.0.0.1:8765 THIS_MACHINE; or write the page to a file with `out`."
        )
    return str(address)


def new_key() -> str:
    """A key that cannot be guessed; a new one for every process."""
    return secrets.token_urlsafe(32)


def bound(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises `OptionError` when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
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


def serve(app: Any, sock: socket.socket, ready: Callable[[], None] | None = None) -> None:
    """Serve until interrupted; slow or idle connections are dropped, and few are kept."""
    uvicorn = need("uvicorn", "serving the walkthrough")
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=3,
        limit_concurrency=100,
        h11_max_incomplete_event_size=32_768,
        http="h11",
        ws="none",
        lifespan="off",
        proxy_headers=False,
    )
    if ready is not None:
        ready()
    uvicorn.Server(config).run(sockets=[sock])
