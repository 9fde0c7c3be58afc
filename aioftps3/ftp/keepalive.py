"""TCP keepalive: what keeps a silent connection known to the network between, and finds out that the client is gone.

A control connection is silent while S3 puts an upload together, which can take minutes; a data connection for as long
as the client has nothing to send. FTP itself has nothing to say meanwhile: the final reply is the next thing that a
client may hear (RFC 959 section 5.4).
"""

from __future__ import annotations

import socket

__all__ = ("keep_alive",)

IDLE_SECONDS = 60
"""Silence before the first probe. The shortest memories in common use are the 4 minutes of Azure's load balancers and
the 350 seconds of AWS's NAT gateways and network load balancers."""

INTERVAL_SECONDS = 20
"""From one unanswered probe to the next."""

PROBES = 6
"""Unanswered ones after which the connection is lost, two minutes: as long as a data connection may stall by default,
and longer than the 100 seconds that TCP wants a path to be tried for (RFC 1122 section 4.2.3.5). Linux's own 9 probes
in intervals of 75 seconds would hold the session of a client that is gone for 11 minutes."""

_OPTIONS = {"TCP_KEEPIDLE": IDLE_SECONDS, "TCP_KEEPINTVL": INTERVAL_SECONDS, "TCP_KEEPCNT": PROBES}


def keep_alive(sock: socket.socket) -> None:
    """Have the kernel probe a silent peer, and end the connection when it does not answer for two minutes.

    Raises OSError when the socket is gone.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS.items():
        if (option := getattr(socket, name, None)) is not None:  # not every system has them all
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
