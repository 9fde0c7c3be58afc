"""Certificates to TLS contexts: one session cache and one ticket key for a control connection and its data connections.

What must stay true:

- A session's connections all come from ONE OpenSSL context, from its first to its last. Data connections can resume the
  control connection's session only then; FileZilla asks its user, and some clients refuse, when they cannot.
- Whoever wraps a data connection holds its session tickets back until there is something else to send (`TlsEngine`).
  Tickets that a client has not read when it closes make its kernel answer with RST, and the end of its upload is lost.
- A new certificate is a new context for new sessions: what does not work changes nothing, and running sessions do not
  notice. (Loading it into the context that is in use is not atomic, and would keep the old certificate beside a new one
  whose key is of another kind.)

TLS 1.2 is the minimum (RFC 8996).
"""

from __future__ import annotations

import ssl

from aioftps3.keypair import KeyPair, as_file

__all__ = ("SESSION_SECONDS", "ServerTls")

TICKETS = 2
"""Session tickets sent after a full TLS 1.3 handshake, OpenSSL's own default; after a resumed one it sends one. Clients
that use a ticket once (RFC 8446 appendix C.4) resume their next data connection with the ticket of the last one."""


SESSION_SECONDS = 7200
"""How long a session can be resumed: OpenSSL's default, which Python has no way to change."""


class ServerTls:
    """The server's side of TLS: gives each session its context."""

    def __init__(self, pair: KeyPair, *, highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        """``highest`` is the newest version that is spoken. Raises ssl.SSLError when it is no matching pair."""
        self._highest = highest
        self.renew(pair)

    def renew(self, pair: KeyPair) -> None:
        """Let sessions have another certificate from now on. Raises ssl.SSLError, and changes nothing then."""
        self._shared = self._context(pair)
        self._pair = pair

    @property
    def pair(self) -> KeyPair:
        """What new sessions get."""
        return self._pair

    def session_context(self, *, apart: bool = False) -> ssl.SSLContext:
        """The context for a control connection and all of its data connections.

        ``apart``: one that nobody else has, so that what resumes a session in it has been in this session. It costs a
        millisecond and 30 KiB.
        """
        return self._context(self._pair) if apart else self._shared

    def _context(self, pair: KeyPair) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, self._highest
        with as_file(pair.certificate) as certificate, as_file(pair.key) as key:
            context.load_cert_chain(certificate, key, password="")  # else OpenSSL asks for one on the terminal
        context.num_tickets = TICKETS
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        return context
