"""The command table: what there is, who may use it, and what FEAT and HELP say of it."""

from __future__ import annotations

import re

import pytest

from aioftps3.ftp.commands import FAMILIES, command_table, features, manual

TABLE = command_table()
VERBS = re.findall(
    r"[A-Z]+",
    "USER PASS QUIT SYST FEAT OPTS NOOP TYPE MODE STRU PWD CWD CDUP PASV EPSV LIST NLST MLSD MLST RETR STOR "
    " DELE MKD RMD RNFR RNTO SIZE MDTM REST ABOR ALLO HELP SITE STAT AUTH PBSZ PROT",
)
TWINS = {"XPWD": "PWD", "XCWD": "CWD", "XCUP": "CDUP", "XMKD": "MKD", "XRMD": "RMD"}
BEFORE_LOGIN = {"USER", "PASS", "QUIT", "AUTH", "PBSZ", "PROT", "SYST", "FEAT", "OPTS", "NOOP", "HELP", "CLNT"}
TRANSFERS = {"LIST", "NLST", "MLSD", "RETR", "STOR", "STOU"}


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_that_clients_need_is_there(verb: str) -> None:
    """D29."""
    assert TABLE[verb].verb == verb


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


def test_nothing_that_is_a_transfer_runs_during_a_transfer() -> None:
    interrupting = {verb for verb, command in TABLE.items() if command.during_transfer}
    assert interrupting >= {"NOOP", "STAT"}
    assert not interrupting & TRANSFERS


def test_names_that_are_made_are_refused_with_553() -> None:
    assert {verb for verb, command in TABLE.items() if command.makes_name} == {"STOR", "STOU", "MKD", "XMKD", "RNTO"}


def test_feat_lists_what_works_and_nothing_else() -> None:
    """APPE, MFMT, EPRT and HASH are not there."""
    assert features(TABLE) == (
        "AUTH TLS",
        "CLNT",
        "EPSV",
        "MDTM",
        "MLST",
        "PBSZ",
        "PROT",
        "REST STREAM",
        "SIZE",
        "TVFS",
        "UTF8",
    )


def test_feat_lines_have_no_blanks_around_them() -> None:
    assert all(feature == feature.strip() for feature in features(TABLE))


def test_help_explains_every_command() -> None:
    entries = manual(TABLE)
    assert set(entries) == set(TABLE)
    for verb, entry in entries.items():
        assert entry.startswith(TABLE[verb].verb)
        assert entry.isprintable()


def test_the_documentation_of_each_command_is_there() -> None:
    for command in TABLE.values():
        assert command.handler.__doc__
        assert command.summary
        assert command.reference
