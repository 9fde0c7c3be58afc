"""What the FTP server is told: one frozen dataclass, filled by app.py from the settings."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ("FtpConfig", "RequireTls", "UploadEnd")


class RequireTls(enum.Enum):
    """Which connections must be encrypted (RFC 4217)."""

    CONTROL_AND_DATA = "control+data"
    CONTROL = "control"
    NONE = "none"

    @property
    def control(self) -> bool:
        """Whether USER is refused before AUTH TLS."""
        return self is not RequireTls.NONE

    @property
    def data(self) -> bool:
        """Whether transfers are refused before PROT P."""
        return self is RequireTls.CONTROL_AND_DATA


class UploadEnd(enum.Enum):
    """When an upload that ends by a TCP FIN without TLS close_notify is taken as whole."""

    STRICT = "strict"
    """Never."""
    GUARDED = "guarded"
    """If the control connection is still open a short grace later: a killed client closes both at once."""
    TRUSTING = "trusting"
    """Always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FtpConfig:
    """Addresses, policies and limits of the FTP server. All times are in seconds."""

    hosts: tuple[str, ...] = ()
    """Listening addresses; empty means every IPv4 and IPv6 address."""
    port: int = 8021
    """Explicit TLS (AUTH TLS); 0 lets the kernel choose."""
    implicit: bool = True
    """Whether the implicit-TLS port is opened at all."""
    implicit_port: int = 8022
    """Implicit TLS; 0 lets the kernel choose."""
    data_ports: tuple[int, ...] = tuple(range(8023, 8043))
    """Passive data ports; empty lets the kernel choose."""
    public_host: str | None = None
    """Address told to clients in PASV; None tells the control connection's own local address."""
    require_tls: RequireTls = RequireTls.CONTROL_AND_DATA
    upload_end: UploadEnd = UploadEnd.GUARDED
    max_sessions: int = 1000
    max_sessions_per_address: int = 100
    login_timeout: float = 30.0
    """From the connection to a successful PASS."""
    idle_timeout: float = 600.0
    """Between two commands; not counted during a transfer."""
    data_connect_timeout: float = 30.0
    """For the data connection, from PASV or from the transfer command, whichever is later."""
    stall_timeout: float = 120.0
    """Of waiting for a peer that moves less than 1 KiB on a data connection, or does not read its replies."""
    tls_handshake_timeout: float = 20.0
    require_tls_resumption: bool = False
    """Refuse encrypted data connections that do not resume the control connection's TLS session. Some clients cannot
    (ftplib, several versions of curl for all but the first one), so that it is off."""
    allow_foreign_data_peer: bool = False
    """Accept data connections from another address than the control connection's. Unsafe."""
    active_mode: bool = False
    """Connect to clients that ask for it by PORT or EPRT, at their own address only."""
    client_times: bool = False
    """Keep the times that clients give to files, and show them."""
    hashes: tuple[str, ...] = ()
    """Hashes of stored files that can be told, by the names of HASH; the first one is told unless another is chosen."""
    convert_text: bool = False
    """Convert line ends in TYPE A: LF in the store, CRLF on the wire."""
