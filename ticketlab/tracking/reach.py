"""Whether anybody listens at a server's address: asked before MLflow is imported, which takes seconds."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_PORTS = {"http": 80, "https": 443}


def why_unreachable(uri: str, timeout: float = 20.0) -> str | None:
    """Why no connection to an http(s) address comes about within so many seconds, in a few words; None if one does.

    None also where only an attempt tells: other kinds of stores, addresses without a host, those behind a proxy.
    """
    try:
        address = urlsplit(uri)
        host, port = address.hostname, address.port
    except ValueError:
        return None
    if address.scheme not in _PORTS or not host:
        return None
    if {address.scheme, "all"} & getproxies().keys() and not proxy_bypass(host):
        return None
    try:
        socket.create_connection((host, port or _PORTS[address.scheme]), timeout).close()
    except OSError as failure:
        return failure.strerror or str(failure)
    return None
