"""Certificates to the TLS context: one session cache and one ticket key for control and data connections.

What must stay true:

- There is ONE OpenSSL context. Data connections can resume the control connection's session only because both come
  from the same ``SSL_CTX``; FileZilla asks its user, and some clients refuse, when they cannot.
- Whoever wraps a data connection holds its session tickets back until there is something else to send (`TlsEngine`).
  Tickets that a client has not read when it closes make its kernel answer with RST, and the end of its upload is lost.

TLS 1.2 is the minimum (RFC 8996).
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

__all__ = ("server_context",)

TICKETS = 2
"""Session tickets sent after a full TLS 1.3 handshake, OpenSSL's own default; after a resumed one it sends one. Clients
that use a ticket once (RFC 8446 appendix C.4) resume their next data connection with the ticket of the last one."""


def server_context(
    certificate: str | os.PathLike[str],
    key: str | os.PathLike[str] | None = None,
    *,
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> ssl.SSLContext:
    """Build the server's context from PEM files.

    ``certificate`` holds the chain, leaf first; ``key`` the private key, or None when it is in the same file;
    ``highest`` is the newest version of TLS that is spoken.
    Raises OSError when a file cannot be read and ssl.SSLError when it is no matching pair.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, highest
    context.load_cert_chain(Path(certificate), Path(key) if key is not None else None)
    context.num_tickets = TICKETS
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context
