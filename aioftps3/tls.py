"""Certificates to TLS contexts: one session cache and one ticket key for control and data connections.

What must stay true:

- There is ONE OpenSSL context. Data connections can resume the control connection's session only because both come
  from the same ``SSL_CTX``; FileZilla asks its user, and some clients refuse, when they cannot.
- A control connection hands out session tickets, a data connection hands out none. A client that closes its data
  connection without reading the tickets makes the kernel answer with RST, and the end of the upload is lost.

TLS 1.2 is the minimum (RFC 8996).
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ("TlsContexts", "tls_contexts")

CONTROL_TICKETS = 2
"""Session tickets sent after a TLS 1.3 handshake on a control connection: OpenSSL's own default."""

DATA_TICKETS = 0
"""Session tickets sent on a data connection: see the module docstring."""


class _DataContext(ssl.SSLContext):
    """The control context as data connections see it: the same keys and cache, no tickets.

    Wrapping is synchronous, so that switching the shared context for the length of a call is safe in one loop.
    """

    control: ssl.SSLContext

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        control = self.control
        control.num_tickets = DATA_TICKETS
        try:
            return control.wrap_bio(*args, **kwargs)
        finally:
            control.num_tickets = CONTROL_TICKETS


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """Two views of one server context: hand ``control`` and ``data`` to the connections of that kind."""

    control: ssl.SSLContext
    data: ssl.SSLContext


def tls_contexts(certificate: str | os.PathLike[str], key: str | os.PathLike[str] | None = None) -> TlsContexts:
    """Build the server contexts from PEM files.

    ``certificate`` holds the chain, leaf first; ``key`` the private key, or None when it is in the same file.
    Raises OSError when a file cannot be read and ssl.SSLError when it is no matching pair.
    """
    control = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    control.minimum_version = ssl.TLSVersion.TLSv1_2
    control.load_cert_chain(Path(certificate), Path(key) if key is not None else None)
    control.num_tickets = CONTROL_TICKETS
    control.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    data = _DataContext(ssl.PROTOCOL_TLS_SERVER)
    data.control = control
    return TlsContexts(control, data)
