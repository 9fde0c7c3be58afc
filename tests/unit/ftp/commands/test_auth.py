"""USER PASS QUIT AUTH PBSZ PROT."""

from __future__ import annotations

import logging

import pytest

from aioftps3.auth.users import User
from aioftps3.ftp.commands import command_table
from aioftps3.ftp.config import RequireTls
from aioftps3.ftp.session import MAX_LOGIN_TRIES
from tests.support.ftp_session import LOGIN, PASSWORD, FtpStore, clear_text, encrypted, running_server

NEED_LOGIN = sorted(verb for verb, command in command_table().items() if command.login)


class Recorder:
    """An authenticator that writes down what it is asked."""

    def __init__(self, user: User | None) -> None:
        self.user = user
        self.asked: list[tuple[str, str, str]] = []

    async def authenticate(self, login: str, password: str, *, peer: str) -> User | None:
        self.asked.append((login, password, peer))
        return self.user


@pytest.mark.parametrize("verb", NEED_LOGIN)
async def test_before_login_every_command_on_files_is_530(verb: str) -> None:
    """D20."""
    async with running_server(store=FtpStore({"file": b"x"})) as running:
        client = await running.greeted()
        assert await client.codes(verb, f"{verb} file") == [530, 530]
        assert running.store.requests == []


async def test_what_clients_send_before_login_is_answered() -> None:
    """lftp, basic-ftp and ftp.exe send OPTS before USER, ftp-ssl and PHP PBSZ and PROT."""
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        assert await client.codes("OPTS UTF8 ON", "FEAT", "SYST", "NOOP", "HELP", "CLNT x") == [
            200, 211, 215, 200, 214, 200,
        ]  # fmt: skip
        await client.start_tls()
        assert await client.codes("PBSZ 0", "PROT P") == [200, 200]
        await client.log_in()
        client.protected = True
        assert (await client.upload("file", b"x")).code == 226


async def test_user_in_clear_text_is_534_with_a_hint_and_no_password_is_taken() -> None:
    """D7: no way to send a password in clear text by default."""
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        answer = await client.command(f"USER {LOGIN}")
        assert answer.code == 534
        assert "AUTH TLS" in answer.text
        assert await client.codes(f"PASS {PASSWORD}") == [503]


async def test_a_wrong_password_and_an_unknown_login_are_the_same_words() -> None:
    """D17, P18."""
    async with running_server() as running:
        client = await running.greeted()
        known = [(await client.command(line)).text for line in (f"USER {LOGIN}", "PASS wrong")]
        unknown = [(await client.command(line)).text for line in ("USER nobody", "PASS wrong")]
        assert known == unknown
        assert known[0].startswith("331")
        assert known[1].startswith("530")
        await client.log_in()


async def test_five_wrong_passwords_end_the_session() -> None:
    """D18."""
    async with running_server() as running:
        client = await running.greeted()
        for _ in range(MAX_LOGIN_TRIES - 1):
            assert await client.codes(f"USER {LOGIN}", "PASS wrong") == [331, 530]
        await client.send(f"USER {LOGIN}", "PASS wrong", f"USER {LOGIN}", f"PASS {PASSWORD}")
        assert await client.replies(3) == [331, 530, 421]
        assert await client.at_end()


async def test_wrong_passwords_are_logged_with_address_and_login(caplog: pytest.LogCaptureFixture) -> None:
    async with running_server() as running:
        client = await running.greeted()
        await client.codes("USER mallory", "PASS wrong")
    (message,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "mallory" in message
    assert "127.0.0.1" in message
    assert "wrong" not in message


async def test_login_and_password_reach_the_authenticator_as_they_were_sent() -> None:
    recorder = Recorder(User("x"))
    async with running_server(authenticator=recorder) as running:
        client = await running.greeted()
        await client.log_in(" é user ", " pass word ")
        assert recorder.asked == [(" é user ", " pass word ", "127.0.0.1")]


async def test_the_session_begins_in_the_users_home() -> None:
    async with running_server(authenticator=Recorder(User("x", home="/in"))) as running:
        client = await running.client()
        assert '"/in"' in (await client.command("PWD")).text


async def test_pass_needs_user_and_comes_once() -> None:
    async with running_server() as running:
        client = await running.greeted()
        assert await client.codes("PASS x") == [503]
        await client.log_in()
        assert await client.codes("PASS x") == [503]


async def test_a_second_user_logs_out_and_in_again() -> None:
    """D21: whoever says USER has left what the first one had."""
    async with running_server(store=FtpStore({"dir/": b""})) as running:
        client = await running.client()
        assert await client.codes("CWD dir", "USER other", "PWD", "PASS wrong", "PWD") == [250, 331, 530, 530, 530]
        await client.log_in()
        assert '"/"' in (await client.command("PWD")).text


async def test_a_failed_login_has_to_begin_with_user_again() -> None:
    async with running_server() as running:
        client = await running.greeted()
        assert await client.codes(f"USER {LOGIN}", "PASS wrong", f"PASS {PASSWORD}") == [331, 530, 503]


async def test_user_needs_a_name() -> None:
    async with running_server() as running:
        client = await running.greeted()
        assert await client.codes("USER", "USER ") == [501, 501]


async def test_quit_says_goodbye_and_closes() -> None:
    for config in (clear_text(), encrypted()):
        async with running_server(config) as running:
            client = await running.client()
            await client.send("QUIT", "NOOP")
            assert (await client.reply()).code == 221
            assert await client.at_end()
            assert client.wire.ended_by == ("close_notify" if client.wire.tls else "fin")


@pytest.mark.parametrize("mechanism", ["TLS", "tls", "TLS-C", "SSL", "TLS-P", "TLS "])
async def test_auth_takes_every_name_of_tls(mechanism: str) -> None:
    """curl sends AUTH SSL first."""
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        assert await client.codes(f"AUTH {mechanism}") == [234]
        await client.wire.start_tls(client.context)
        assert await client.codes("NOOP", "AUTH TLS") == [200, 503]


async def test_auth_knows_nothing_else() -> None:
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        assert await client.codes("AUTH", "AUTH KERBEROS_V4", "AUTH TLS 1") == [501, 504, 504]


async def test_auth_forgets_a_login_in_clear_text() -> None:
    """RFC 4217 section 4.2."""
    async with running_server() as running:
        client = await running.client()
        await client.start_tls()
        assert await client.codes("PWD", "PROT P") == [530, 503]
        await client.log_in()
        await client.protect()
        assert (await client.upload("file", b"x")).code == 226


async def test_pbsz_and_prot_want_tls_and_their_order() -> None:
    """D22."""
    async with running_server() as running:
        client = await running.greeted()
        assert await client.codes("PBSZ 0", "PROT P", "PROT C") == [503, 503, 503]
        await client.start_tls()
        assert await client.codes("PROT P", "PBSZ x", "PBSZ", "PBSZ 0", "PBSZ 1024") == [503, 501, 501, 200, 200]
        assert await client.codes("PROT", "PROT S", "PROT E", "PROT X", "prot p") == [501, 536, 536, 504, 200]


async def test_data_in_clear_text_is_refused_where_it_must_be_encrypted() -> None:
    async with running_server(encrypted(), store=FtpStore({"file": b"x"})) as running:
        client = await running.greeted()
        await client.start_tls()
        await client.log_in()
        assert await client.codes("PASV", "EPSV", "LIST", "RETR file", "STOR file") == [521] * 5
        assert await client.codes("PBSZ 0", "PROT C", "PASV") == [200, 534, 521]
        await client.protect()
        assert await client.download("RETR file") == b"x"
        assert await client.codes("PROT C") == [534]
        assert await client.download("RETR file") == b"x"


async def test_data_may_be_in_clear_text_where_the_operator_says_so() -> None:
    async with running_server(encrypted(require_tls=RequireTls.CONTROL)) as running:
        client = await running.greeted()
        await client.start_tls()
        await client.log_in()
        assert (await client.upload("file", b"x")).code == 226
        await client.protect()
        assert (await client.upload("file", b"y")).code == 226
        assert await client.codes("PROT C") == [200]
        client.protected = False
        assert await client.download("RETR file") == b"y"


async def test_a_data_port_of_the_old_protection_is_not_used_at_the_new_one() -> None:
    async with running_server(encrypted(require_tls=RequireTls.CONTROL)) as running:
        client = await running.greeted()
        await client.start_tls()
        await client.log_in()
        wire = await client.connect_data()
        await client.protect()
        assert await client.codes("LIST") == [425]
        assert await wire.receive() == b""


# -- ACCT REIN CCC -------------------------------------------------------------------------------------------------


async def test_an_account_is_not_needed() -> None:
    async with running_server() as running:
        client = await running.greeted()
        assert await client.codes("ACCT x", "ACCT") == [202, 202]
        await client.log_in()
        assert await client.codes("ACCT x", "PWD") == [202, 257]


async def test_rein_begins_a_session_in_clear_text_again() -> None:
    async with running_server(store=FtpStore({"dir/file": b""})) as running:
        client = await running.client()
        await client.codes("CWD dir", "TYPE I", "OPTS MLST size;", "EPSV ALL", "REST 5", "RNFR file")
        assert await client.codes("REIN", "PWD", "RNTO x") == [220, 530, 530]
        await client.log_in()
        assert '"/"' in (await client.command("PWD")).text
        assert "TYPE A" in (await client.command("STAT")).text
        assert " MLST type*;size*;modify*;perm*;UNIX.mode;" in (await client.command("FEAT")).lines
        assert await client.codes("RNTO x", "PASV") == [503, 227]


async def test_rein_forgives_no_wrong_password() -> None:
    async with running_server() as running:
        client = await running.greeted()
        for _ in range(4):
            assert await client.codes("USER x", "PASS x", "REIN") == [331, 530, 220]
        assert await client.codes("USER x", "PASS x") == [331, 530]
        assert (await client.reply()).code == 421


async def test_tls_is_not_ended() -> None:
    """RFC 4217: REIN would end it, CCC too; both would go on in clear text."""
    async with running_server(encrypted()) as running:
        client = await running.client()
        assert await client.codes("REIN", "CCC", "PWD") == [502, 534, 257]


async def test_ccc_in_clear_text_has_nothing_to_clear() -> None:
    async with running_server() as running:
        client = await running.greeted()
        assert await client.codes("CCC", "NOOP") == [533, 200]
