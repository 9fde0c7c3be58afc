"""Who the client is and how it is protected: USER PASS ACCT REIN QUIT (RFC 959), AUTH PBSZ PROT CCC (RFC 4217)."""

from __future__ import annotations

from pathlib import PurePosixPath

from aioftps3.ftp.commands.table import Command
from aioftps3.ftp.control import ControlLost
from aioftps3.ftp.replies import Reply
from aioftps3.ftp.session import MAX_LOGIN_TRIES, Session
from aioftps3.storage import paths

__all__ = ("COMMANDS",)

_TLS_MECHANISMS = frozenset({"TLS", "TLS-C", "SSL", "TLS-P"})
"""AUTH arguments that mean TLS: RFC 4217 section 3, and what older clients send."""


async def user(session: Session, argument: str) -> Reply:
    """USER: 331 for every name, so that it is not shown which logins exist."""
    if session.config.require_tls.control and not session.channel.encrypted:
        return Reply(534, "TLS is required here: send AUTH TLS before USER.")
    session.forget_login()
    session.login = argument
    _, found, prompt = await session.parts.users.get_user(argument)
    if found is not None:
        found.peer = session.peer  # type: ignore[attr-defined]  # our manager's users have it
        session.connection.user = found
    return Reply(331, prompt)


async def pass_(session: Session, argument: str) -> Reply:
    """PASS: 230, or 530 in the same words for a wrong password and an unknown login."""
    if session.authenticated:
        return Reply(503, "You are logged in already.")
    if session.login is None:
        return Reply(503, "Send USER first.")
    account = session.connection.user
    if not await session.parts.users.authenticate(account, argument):
        session.log.warning("login failed for %s from %s", session.shown_login, session.peer)
        session.forget_login()
        session.failed_logins += 1
        if session.failed_logins >= MAX_LOGIN_TRIES:
            await session.send(Reply(530, "Login incorrect."))
            await session.send(Reply(421, "Too many failed logins."))
            raise ControlLost("too many failed logins")
        return Reply(530, "Login incorrect.")
    session.authenticated = True
    session.cwd = paths.VirtualPath(str(PurePosixPath(account.home_path)))
    session.log.info("%s logged in from %s", session.shown_login, session.peer)
    return Reply(230, "Logged in.")


async def acct(_session: Session, _argument: str) -> Reply:
    """ACCT: logins have no accounts besides."""
    return Reply(202, "No account is needed.")


async def rein(session: Session, _argument: str) -> Reply:
    """REIN: as after the connection, in clear text.

    It would have to end TLS, too (RFC 4217, "Discussion of the REIN Command"), and what comes next would be in clear.
    """
    if session.channel.encrypted:
        return Reply(502, "An encrypted session cannot begin again: please connect again.")
    session.begin_again()
    return Reply(220, "Ready for a new user.")


async def quit_(session: Session, _argument: str) -> Reply:
    """QUIT: the session ends after the reply."""
    session.closing = True
    return Reply(221, "Goodbye.")


async def auth(session: Session, argument: str) -> Reply | None:
    """AUTH: go on in TLS after 234."""
    if argument.strip(" ").upper() not in _TLS_MECHANISMS:
        return Reply(504, "Only AUTH TLS is known here.")
    if session.channel.encrypted:
        return Reply(503, "The control connection is encrypted already.")
    # Lines that were read in clear text during a transfer are behind AUTH just as those in the same segment.
    started = not session.waiting and await session.channel.start_tls(
        session.tls,
        Reply(234, "Begin the TLS handshake."),
        timeout=session.config.tls_handshake_timeout,
    )
    if not started:
        session.log.warning("bytes in clear text behind AUTH from %s: refused as command injection", session.peer)
        await session.send(Reply(421, "Nothing may be sent between AUTH and the TLS handshake."))
        raise ControlLost("bytes behind AUTH")
    session.tls_started()
    return None


async def pbsz(session: Session, argument: str) -> Reply:
    """PBSZ: 0 is the only size that TLS has (RFC 4217 section 9)."""
    if not session.channel.encrypted:
        return Reply(503, "Send AUTH TLS first.")
    if not argument.strip(" ").isdecimal():
        return Reply(501, "PBSZ needs a number.")
    session.protection_buffer_set = True
    return Reply(200, "PBSZ=0")


async def prot(session: Session, argument: str) -> Reply:
    """PROT: P encrypts data connections, C does not, where that is allowed."""
    level = argument.strip(" ").upper()
    if not session.channel.encrypted:
        return Reply(503, "Send AUTH TLS first.")
    if not session.protection_buffer_set:
        return Reply(503, "Send PBSZ 0 first.")
    # A port that was opened for the old level must not be used at the new one.
    session.set_listener(None)
    if level == "P":
        session.protection = "P"
        return Reply(200, "Data connections are encrypted.")
    if level == "C":
        if session.config.require_tls.data:
            return Reply(534, "Data connections must be encrypted here.")
        session.protection = "C"
        return Reply(200, "Data connections are in clear text.")
    if level in ("S", "E"):
        return Reply(536, "TLS has no such protection level.")
    return Reply(504, "PROT takes P or C.")


async def ccc(session: Session, _argument: str) -> Reply:
    """CCC: the control connection stays encrypted (RFC 2228 section 3, RFC 4217)."""
    if not session.channel.encrypted:
        return Reply(533, "The control connection is in clear text.")
    return Reply(534, "The control connection stays encrypted here.")


COMMANDS = (
    Command(
        verb="USER",
        handler=user,
        syntax="USER <login>",
        summary="name the user; TLS is required first unless the operator allows clear text",
        reference="RFC 959 4.1.1",
        argument_required=True,
        login=False,
    ),
    Command(
        verb="PASS",
        handler=pass_,
        syntax="PASS <password>",
        summary="log in",
        reference="RFC 959 4.1.1",
        secret=True,
        login=False,
    ),
    Command(
        verb="ACCT",
        handler=acct,
        syntax="ACCT <account>",
        summary="not needed",
        reference="RFC 959 4.1.1",
        secret=True,
        login=False,
    ),
    Command(
        verb="REIN",
        handler=rein,
        syntax="REIN",
        summary="begin again before USER; refused in TLS",
        reference="RFC 959 4.1.1, RFC 4217",
        login=False,
    ),
    Command(
        verb="QUIT",
        handler=quit_,
        syntax="QUIT",
        summary="end the session, after a running transfer",
        reference="RFC 959 4.1.1",
        login=False,
    ),
    Command(
        verb="AUTH",
        handler=auth,
        syntax="AUTH TLS",
        summary="encrypt the control connection",
        reference="RFC 4217 4",
        argument_required=True,
        login=False,
        feature="AUTH TLS",
    ),
    Command(
        verb="PBSZ",
        handler=pbsz,
        syntax="PBSZ 0",
        summary="protection buffer size, always 0",
        reference="RFC 4217 8",
        argument_required=True,
        login=False,
        feature="PBSZ",
    ),
    Command(
        verb="PROT",
        handler=prot,
        syntax="PROT P|C",
        summary="encrypt data connections, or not where that is allowed",
        reference="RFC 4217 9",
        argument_required=True,
        login=False,
        feature="PROT",
    ),
    Command(
        verb="CCC",
        handler=ccc,
        syntax="CCC",
        summary="go back to clear text, which is always refused",
        reference="RFC 2228 3, RFC 4217",
        login=False,
    ),
)
