"""Where data connections come from: PASV, PORT (RFC 959), EPSV, EPRT (RFC 2428)."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket

from aioftps3.ftp.active import LEAST_PORT, ActiveConnector
from aioftps3.ftp.commands.table import Command, Switch
from aioftps3.ftp.parsing import ClientPort, parse_eprt, parse_port
from aioftps3.ftp.passive import NoFreePort, PassiveListener, plain_address, same_host
from aioftps3.ftp.replies import Reply, ReplyError
from aioftps3.ftp.session import Session

__all__ = ("COMMANDS",)


async def pasv(session: Session, _argument: str) -> Reply:
    """PASV: an IPv4 address and a port for one data connection."""
    _check_epsv_all(session)
    session.check_protection()
    address = await _public_ipv4(session)
    listener = await _listen(session)
    numbers = (*address.packed, listener.port >> 8, listener.port & 0xFF)
    return Reply(227, f"Entering Passive Mode ({','.join(map(str, numbers))}).")


async def epsv(session: Session, argument: str) -> Reply:
    """EPSV: a port for one data connection, to the address of the control connection."""
    protocol = argument.strip(" ").upper()
    if protocol == "ALL":
        session.only_extended_passive = True
        return Reply(200, "From now on only EPSV is allowed.")
    own = _own_protocol(session)
    if protocol not in ("", own):
        if protocol.isdecimal():
            return Reply(522, f"Network protocol not supported on this connection, use ({own})")
        return Reply(501, "EPSV takes 1, 2 or ALL.")
    session.check_protection()
    listener = await _listen(session)
    return Reply(229, f"Entering Extended Passive Mode (|||{listener.port}|)")


def _check_epsv_all(session: Session) -> None:
    """Raise ReplyError when the client has said that it will use EPSV only (RFC 2428 section 4)."""
    if session.only_extended_passive:
        raise ReplyError(501, "After EPSV ALL only EPSV is allowed.")


def _own_protocol(session: Session) -> str:
    """The control connection's network protocol as RFC 2428 counts them."""
    return "2" if ":" in _plain(session.local) else "1"


def _plain(address: str) -> str:
    """Our own address as a socket can be bound to it: IPv4 in its own form, IPv6 with its scope."""
    parsed = plain_address(address)
    return str(parsed) if isinstance(parsed, ipaddress.IPv4Address) else address


async def _public_ipv4(session: Session) -> ipaddress.IPv4Address:
    """The address for 227: the configured one, resolved anew each time because it may change, or our own."""
    local = _plain(session.local)
    if ":" in local:  # the port will listen on this address, which PASV cannot tell
        raise ReplyError(425, "There is no IPv4 address to connect to: use EPSV.")
    host = session.config.public_host or local
    try:
        return ipaddress.IPv4Address(host)
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, family=socket.AF_INET)
    except OSError as error:
        session.log.warning("no IPv4 address for PASV in %s: %s", host, error)
        raise ReplyError(425, "There is no IPv4 address to connect to: use EPSV.") from error
    return ipaddress.IPv4Address(found[0][4][0])


async def _listen(session: Session) -> PassiveListener:
    """A new data port that belongs to the session until a transfer takes it."""
    session.set_listener(None)
    local = _plain(session.local)
    family = socket.AF_INET6 if ":" in local else socket.AF_INET
    config = session.config
    try:
        sock = await session.parts.ports.bind(local, family)
    except NoFreePort as error:
        session.log.warning("all data ports are in use")
        raise ReplyError(425, "All data ports are in use: try again.") from error
    except OSError as error:
        session.log.log(logging.ERROR, "cannot listen for a data connection on %s: %s", local, error)
        raise ReplyError(425, "Cannot listen for a data connection.") from error

    def on_foreign_peer(address: str) -> None:
        session.log.warning("data connection from %s refused: the client is at %s", address, session.peer)

    listener = PassiveListener(
        sock,
        session.parts.ports,
        peer=None if config.allow_foreign_data_peer else session.peer,
        context=session.tls if session.protection == "P" else None,
        connect_timeout=config.data_connect_timeout,
        stall_timeout=config.stall_timeout,
        handshake_timeout=config.tls_handshake_timeout,
        on_foreign_peer=on_foreign_peer,
    )
    session.set_listener(listener)
    return listener


async def port(session: Session, argument: str) -> Reply:
    """PORT: the client's own IPv4 address and a port there, to which the server will connect."""
    _check_epsv_all(session)
    target = parse_port(argument)
    if target is None:
        return Reply(501, "PORT takes six numbers: h1,h2,h3,h4,p1,p2.")
    return _connect_later(session, target)


async def eprt(session: Session, argument: str) -> Reply:
    """EPRT: the same for IPv4 and IPv6."""
    _check_epsv_all(session)
    target = parse_eprt(argument)
    if target is None:
        return Reply(501, "EPRT takes |1|<IPv4 address>|<port>| or |2|<IPv6 address>|<port>|.")
    own = _own_protocol(session)
    if target.address is None or (own == "1") != (target.address.version == 4):
        return Reply(522, f"Network protocol not supported on this connection, use ({own})")
    return _connect_later(session, target)


def _connect_later(session: Session, target: ClientPort) -> Reply:
    """Note where the next transfer connects to, if that is the client (RFC 2577 section 3 wants 504 otherwise)."""
    session.set_listener(None)
    session.check_protection()
    if not same_host(str(target.address), session.peer):
        session.log.warning("connection to %s refused: the client is at %s", target.address, session.peer)
        return Reply(504, "Data connections go to the address of the control connection only.")
    if target.port < LEAST_PORT:
        return Reply(504, f"Data connections go to ports from {LEAST_PORT} on only.")
    config = session.config
    session.set_listener(
        ActiveConnector(
            _plain(session.peer),
            target.port,
            source=_plain(session.local),
            context=session.tls if session.protection == "P" else None,
            connect_timeout=config.data_connect_timeout,
            stall_timeout=config.stall_timeout,
            handshake_timeout=config.tls_handshake_timeout,
        )
    )
    return Reply(200, "The next transfer connects to you.")


_ACTIVE_MODE = Switch("AIOFTPS3_ACTIVE_MODE", lambda config: config.active_mode)

COMMANDS = (
    Command(
        verb="PASV",
        handler=pasv,
        syntax="PASV",
        summary="open a data port, IPv4",
        reference="RFC 959 4.1.2",
    ),
    Command(
        verb="EPSV",
        handler=epsv,
        syntax="EPSV [1|2|ALL]",
        summary="open a data port, IPv4 or IPv6",
        reference="RFC 2428 3",
        feature="EPSV",
    ),
    Command(
        verb="PORT",
        handler=port,
        syntax="PORT <h1,h2,h3,h4,p1,p2>",
        summary="let the server connect to the client, IPv4; to its own address and ports from 1024 on",
        reference="RFC 959 4.1.2",
        argument_required=True,
        switch=_ACTIVE_MODE,
    ),
    Command(
        verb="EPRT",
        handler=eprt,
        syntax="EPRT |1|<address>|<port>| or |2|<address>|<port>|",
        summary="the same, IPv4 or IPv6",
        reference="RFC 2428 2",
        argument_required=True,
        feature="EPRT",
        switch=_ACTIVE_MODE,
    ),
)
