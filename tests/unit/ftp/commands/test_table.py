"""The command table: what there is, who may use it, and what FEAT and HELP say of it."""

from __future__ import annotations

import re

import pytest

from aioftps3.ftp.commands import FAMILIES, command_table, features, manual, page
from aioftps3.ftp.commands.site import SUBCOMMANDS
from aioftps3.ftp.commands.table import AFTERWARDS
from aioftps3.ftp.config import FtpConfig
from aioftps3.ftp.hashing import HASHES

TABLE = command_table()
VERBS = re.findall(
    r"[A-Z0-9]+",
    "USER PASS QUIT SYST FEAT OPTS NOOP TYPE MODE STRU PWD CWD CDUP PASV EPSV LIST NLST MLSD MLST RETR STOR APPE "
    " DELE MKD RMD RNFR RNTO SIZE MDTM REST ABOR ALLO HELP SITE STAT AUTH PBSZ PROT "
    "ACCT REIN CCC CLNT HOST LANG AVBL RMDA "
    "STOU PORT EPRT MFMT MFF HASH XCRC XMD5 XSHA256",
)
OF_SITE = ("CHMOD", "UTIME", "CPFR", "CPTO", "HELP")
TWINS = {"XPWD": "PWD", "XCWD": "CWD", "XCUP": "CDUP", "XMKD": "MKD", "XRMD": "RMD"}
BEFORE_LOGIN = {
    *("USER", "PASS", "ACCT", "REIN", "QUIT", "AUTH", "PBSZ", "PROT", "CCC"),
    *("SYST", "FEAT", "OPTS", "NOOP", "HELP", "CLNT", "HOST", "LANG"),
}
TRANSFERS = {"LIST", "NLST", "MLSD", "RETR", "STOR", "APPE", "STOU"}


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_that_clients_need_is_there(verb: str) -> None:
    """D29."""
    assert TABLE[verb].verb == verb


@pytest.mark.parametrize("name", OF_SITE)
def test_every_command_of_site_that_clients_need_is_there(name: str) -> None:
    """D29."""
    assert SUBCOMMANDS[name].verb == f"SITE {name}"


@pytest.mark.parametrize("twin", TWINS)
def test_x_forms_are_the_same_commands(twin: str) -> None:
    """RFC 775."""
    assert TABLE[twin] is TABLE[TWINS[twin]]


def test_no_verb_is_defined_twice() -> None:
    verbs = [verb for family in FAMILIES for command in family.COMMANDS for verb in (command.verb, *command.aliases)]
    assert sorted(verbs) == sorted(TABLE)


def test_before_login_only_harmless_commands_are_allowed() -> None:
    assert {verb for verb, command in TABLE.items() if not command.login} == BEFORE_LOGIN


def test_transfers_are_those_that_use_a_data_connection() -> None:
    assert {verb for verb, command in TABLE.items() if command.transfer} == TRANSFERS


def test_what_is_answered_during_a_transfer_is_no_transfer_and_needs_no_store() -> None:
    interrupting = {verb for verb, command in TABLE.items() if command.during_transfer is not AFTERWARDS}
    assert interrupting == {"NOOP", "STAT"}


def test_names_that_are_made_are_refused_with_553() -> None:
    making = {verb for verb, command in TABLE.items() if command.makes_name}
    assert making == {"STOR", "APPE", "STOU", "MKD", "XMKD", "RNTO"}


def test_feat_lists_what_works_and_nothing_else() -> None:
    """P12: each feature has its line. What a setting switches on is not there."""
    assert features(TABLE, FtpConfig()) == (
        "AUTH TLS",
        "AVBL",
        "CLNT",
        "EPSV",
        "HOST",
        "LANG EN*",
        "MDTM",
        "MLST",
        "PBSZ",
        "PROT",
        "REST STREAM",
        "RMDA",
        "SITE COPY",
        "SIZE",
        "TVFS",
        "UTF8",
    )


def test_what_is_switched_off_is_in_neither_feat_nor_help() -> None:
    """P11, P12: what FEAT shows works, and what works and has a line is shown."""
    off = FtpConfig()
    for on, lines, verbs in (
        (FtpConfig(active_mode=True), {"EPRT"}, {"EPRT", "PORT"}),
        (FtpConfig(client_times=True), {"MFMT", "MFF modify;"}, {"MFMT", "MFF"}),
        (FtpConfig(hashes=("SHA-256",)), {"HASH", "XSHA256"}, {"HASH", "XSHA256"}),
        (FtpConfig(hashes=("CRC32", "MD5")), {"HASH", "XCRC", "XMD5"}, {"HASH", "XCRC", "XMD5"}),
    ):
        assert set(features(TABLE, on)) - set(features(TABLE, off)) == lines
        assert set(manual(TABLE, on)) - set(manual(TABLE, off)) == verbs
    for command in TABLE.values():
        assert (command.feature in features(TABLE, off)) == (command.feature is not None and command.works(off))


def test_feat_lines_have_no_blanks_around_them() -> None:
    assert all(feature == feature.strip() for feature in features(TABLE, FtpConfig()))


def test_help_explains_every_command() -> None:
    entries = manual(TABLE, FtpConfig(active_mode=True, client_times=True, hashes=tuple(HASHES)))
    assert set(entries) == set(TABLE)
    for verb, entry in entries.items():
        assert entry.startswith(TABLE[verb].verb)
        assert entry.isprintable()


def test_the_documentation_of_each_command_is_there() -> None:
    for command in TABLE.values():
        assert command.handler.__doc__
        assert command.summary
        assert command.reference


def test_what_can_hold_a_secret_is_marked_so() -> None:
    assert {verb for verb, command in TABLE.items() if command.secret} == {"PASS", "ACCT"}


def test_the_page_has_a_row_for_each_command_and_each_of_site() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) == sum(len(family.COMMANDS) for family in FAMILIES) + len(SUBCOMMANDS)
    assert all(row.count(" | ") == rows[0].count(" | ") for row in rows)
