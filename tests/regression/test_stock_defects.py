"""Defects that this server must not have, each with the tests that hold it.

D1..D47 were found in aioftp's stock server (0.28.3), P1..P24 in other FTP servers in front of S3; tests name the number
in their docstrings. What no other test shows is tested here.
"""

from __future__ import annotations

import ast
import asyncio
import socket
import threading
from asyncio import trsock
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aioftps3.auth.passwords import PasswordHash, hash_password
from aioftps3.auth.users import EnvironmentUser
from aioftps3.ftp.config import FtpConfig
from aioftps3.ftp.data import DataConnection
from tests.support.ftp_session import FtpStore, encrypted, running_server, until

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Defect:
    """One defect: what went wrong, and what keeps it away."""

    number: str
    what: str
    tests: tuple[str, ...] = ()
    """Files below tests/ and functions in them."""
    reason: str = ""
    """Why there is no test."""


DEFECTS = (
    # -- aioftp 0.28.3 ---------------------------------------------------------------------------------------------
    Defect(
        "D1",
        "TLS 1.3 tickets on data connections break uploads",
        (
            "unit/ftp/test_tlsengine.py::test_tickets_that_are_held_back_go_before_the_first_data",
            "unit/ftp/test_tlsengine.py::test_tickets_that_are_held_back_go_before_close_notify",
            "unit/ftp/test_transfer.py::test_a_client_that_uploads_is_sent_nothing_before_it_has_ended_the_stream",
            "unit/test_tls.py::test_data_connections_resume_the_session_of_the_control_connection",
            "unit/ftp/test_transfer.py::test_an_upload_and_its_download_are_the_same_bytes",
        ),
    ),
    Defect(
        "D2",
        "each small TLS upload waits for a delayed ACK",
        ("regression/test_stock_defects.py::test_handshakes_of_data_connections_are_acknowledged_at_once",),
    ),
    Defect(
        "D3",
        "uvloop loses the end of TLS uploads",
        (
            "unit/test_process.py::test_uvloop_is_refused",
            "unit/ftp/test_data.py::test_a_slow_consumer_pauses_the_sender_and_loses_nothing",
        ),
    ),
    Defect(
        "D4",
        "failed uploads are committed",
        (
            "unit/ftp/test_transfer.py::test_a_reset_data_connection_is_426_and_leaves_the_old_file",
            "unit/ftp/test_transfer.py::test_abor_during_stor_is_426_and_226_and_leaves_the_old_file",
            "unit/ftp/test_transfer.py::test_a_lost_control_connection_leaves_nothing_of_an_upload",
            "contract/test_aioftp_seams.py::test_open_commits_at_a_good_end_and_aborts_at_any_other",
        ),
    ),
    Defect(
        "D5",
        "a client that stops early loses its control connection",
        ("unit/ftp/test_transfer.py::test_a_client_that_closes_early_gets_426_and_the_store_is_not_read_on",),
    ),
    Defect(
        "D6",
        "pipelined commands run at the same time",
        (
            "unit/ftp/test_dispatcher.py::test_a_whole_script_in_one_segment_is_answered_in_order",
            "unit/ftp/test_dispatcher.py::test_a_slow_store_changes_no_order",
            "unit/ftp/test_command_streams.py::test_a_session_in_any_shape_gets_the_same_replies",
        ),
    ),
    Defect(
        "D7",
        "no explicit TLS",
        (
            "unit/ftp/test_control.py::test_bytes_behind_auth_are_refused_as_injection",
            "unit/ftp/commands/test_auth.py::test_user_in_clear_text_is_534_with_a_hint_and_no_password_is_taken",
        ),
    ),
    Defect(
        "D8",
        "a cut TLS stream counts as whole",
        ("unit/ftp/test_transfer.py::test_a_fin_without_close_notify_is_judged_by_the_policy",),
    ),
    Defect(
        "D9",
        "data ports are open to anyone",
        ("unit/ftp/test_transfer.py::test_a_strangers_data_connection_is_refused_and_logged",),
    ),
    Defect("D10", "data ports come in their order", ("unit/ftp/test_passive.py::test_ports_are_drawn_at_random",)),
    Defect("D11", "transfers count as idle time", ("unit/ftp/test_dispatcher.py::test_a_transfer_is_not_idle",)),
    Defect(
        "D12",
        "a file is read on for a client that has gone",
        ("unit/ftp/test_data.py::test_writing_to_a_peer_that_is_gone_fails_at_once",),
    ),
    Defect(
        "D13",
        "data ports are held for the whole session",
        (
            "unit/ftp/test_passive.py::test_the_port_is_closed_as_soon_as_its_one_connection_is_there",
            "unit/ftp/test_server.py::test_all_data_ports_in_use_is_425_and_the_session_lives",
        ),
    ),
    Defect(
        "D14",
        "226 comes too early",
        (
            "unit/ftp/test_transfer.py::test_226_comes_only_after_the_store_has_confirmed_the_file",
            "unit/ftp/test_data.py::test_sending_is_finished_when_nothing_is_left_to_be_sent",
            "unit/ftp/test_data.py::test_a_client_that_reads_little_at_a_time_gets_everything",
        ),
    ),
    Defect(
        "D15",
        "a REST is used twice",
        ("unit/ftp/test_transfer.py::test_rest_is_forgotten_after_a_transfer_also_a_failed_one",),
    ),
    Defect(
        "D16",
        "REST before PASV is lost",
        ("unit/ftp/test_transfer.py::test_rest_outlives_everything_but_a_transfer",),
    ),
    Defect(
        "D17",
        "passwords are compared as plain text, and logins can be found out",
        (
            "unit/auth/test_users.py::test_only_the_right_login_with_the_right_password_is_the_user",
            "unit/auth/test_users.py::test_an_unknown_login_costs_the_same_work_as_a_wrong_password",
            "unit/ftp/commands/test_auth.py::test_a_wrong_password_and_an_unknown_login_are_the_same_words",
        ),
    ),
    Defect(
        "D18",
        "no brake on guessing",
        (
            "unit/ftp/commands/test_auth.py::test_five_wrong_passwords_end_the_session",
            "unit/ftp/test_dispatcher.py::test_who_does_not_log_in_in_time_is_sent_away",
        ),
    ),
    Defect(
        "D19",
        "PathPermissions looks at the first permission only",
        reason="not used: a user may do everything below the own root, and reaches nothing beside it",
    ),
    Defect(
        "D20",
        "503 before the login",
        ("unit/ftp/commands/test_auth.py::test_before_login_every_command_on_files_is_530",),
    ),
    Defect(
        "D21",
        "another USER logs out and leaves the session half open",
        ("unit/ftp/commands/test_auth.py::test_a_second_user_logs_out_and_in_again",),
    ),
    Defect(
        "D22",
        "PROT P is granted on plain sessions",
        ("unit/ftp/commands/test_auth.py::test_pbsz_and_prot_want_tls_and_their_order",),
    ),
    Defect(
        "D23",
        "bytes that are no UTF-8 end the session",
        ("unit/ftp/test_dispatcher.py::test_strange_bytes_get_a_reply_and_the_session_goes_on",),
    ),
    Defect(
        "D24",
        "urgent bytes are lost",
        (
            "unit/ftp/test_control.py::test_control_sockets_send_at_once_and_keep_urgent_bytes_in_line",
            "unit/ftp/test_transfer.py::test_abor_sent_as_urgent_data_stays_in_line",
        ),
    ),
    Defect(
        "D25",
        "NUL and a byte order mark are taken for letters of a command",
        ("unit/ftp/test_parsing.py::test_what_is_no_command_is_a_bad_line_with_printable_words",),
    ),
    Defect(
        "D26",
        "long lines end the session",
        ("unit/ftp/test_dispatcher.py::test_a_line_over_the_limit_is_500_and_the_session_goes_on",),
    ),
    Defect(
        "D27",
        "blanks at the end of names are cut off",
        ("unit/ftp/test_dispatcher.py::test_a_name_with_blanks_at_its_ends_is_that_name",),
    ),
    Defect(
        "D28",
        "control characters get into names",
        ("unit/ftp/test_names.py::test_a_name_that_no_key_can_have_is_refused_by_every_command",),
    ),
    Defect(
        "D29",
        "commands are missing",
        (
            "unit/ftp/commands/test_table.py::test_every_command_that_clients_need_is_there",
            "unit/ftp/commands/test_table.py::test_every_command_of_site_that_clients_need_is_there",
        ),
    ),
    Defect(
        "D30",
        "MLSD ends with 200",
        ("unit/ftp/commands/test_listings.py::test_mlsd_ends_with_226_and_shows_the_chosen_facts",),
    ),
    Defect(
        "D31",
        "LIST -a is a file's name",
        ("unit/ftp/commands/test_listings.py::test_list_takes_options_and_means_the_current_directory",),
    ),
    Defect("D32", "TYPE A N, L 8 and lower case", ("unit/ftp/commands/test_parameters.py::test_type",)),
    Defect(
        "D33",
        "arguments of EPSV end the session",
        ("unit/ftp/commands/test_dataports.py::test_epsv_arguments_never_end_the_session",),
    ),
    Defect(
        "D34",
        "quotes in 257, and MKD without a path",
        (
            "unit/ftp/commands/test_directories.py::test_pwd_doubles_quotes_and_has_no_others",
            "unit/ftp/commands/test_directories.py::test_mkd_tells_the_whole_path_and_makes_a_marker",
        ),
    ),
    Defect(
        "D35",
        "RNTO onto a file is refused",
        ("unit/ftp/commands/test_files.py::test_rename_replaces_a_file",),
    ),
    Defect(
        "D36",
        "MKD makes the parents, too",
        reason="keys have no parents: `MKD a/b` makes one marker, below which `a` is a directory for as long",
    ),
    Defect(
        "D37",
        "LIST of a file is empty",
        ("unit/ftp/commands/test_listings.py::test_list_of_a_directory_and_of_a_file",),
    ),
    Defect(
        "D38",
        "LIST is in local time",
        ("unit/ftp/test_listing.py::test_all_times_are_utc_wherever_the_server_stands",),
    ),
    Defect("D39", "RMD / is 451", ("unit/ftp/commands/test_directories.py::test_rmd_removes_empty_directories_only",)),
    Defect(
        "D40",
        "the data connection has one second to come",
        (
            "unit/ftp/test_transfer.py::test_the_data_connection_may_come_after_150",
            "unit/ftp/test_passive.py::test_a_client_may_connect_late_after_its_command",
        ),
    ),
    Defect(
        "D41",
        "150 comes before it is known that the file is there",
        ("unit/ftp/test_transfer.py::test_what_is_not_there_is_550_before_150",),
    ),
    Defect(
        "D42",
        "TYPE A says nothing of what it does",
        ("unit/ftp/commands/test_parameters.py::test_type_a_converts_nothing",),
    ),
    Defect(
        "D43",
        "a client that closes without QUIT is an error in the log",
        (
            "unit/ftp/test_dispatcher.py::test_a_client_that_hangs_up_is_no_error",
            "unit/ftp/test_server.py::test_a_scanner_that_resets_during_the_handshake_is_no_error",
        ),
    ),
    Defect(
        "D44",
        "'Task exception was never retrieved'",
        (
            "unit/ftp/test_dispatcher.py::test_a_client_that_hangs_up_is_no_error",
            "unit/ftp/test_dispatcher.py::test_a_client_that_hangs_up_in_the_middle_leaves_no_exception_behind",
            "unit/ftp/test_data.py::test_an_opening_that_is_cancelled_anywhere_leaves_nothing_and_says_nothing",
        ),
    ),
    Defect(
        "D45",
        "a listing asks the store for each entry",
        ("unit/ftp/commands/test_listings.py::test_a_listing_shows_every_page_at_the_promised_price",),
    ),
    Defect(
        "D46",
        "RETR asks the store three times",
        ("unit/ftp/test_transfer.py::test_a_small_new_file_is_one_request_and_so_is_a_download",),
    ),
    Defect(
        "D47",
        "files go by blocks of 8 KiB",
        ("regression/test_stock_defects.py::test_files_move_in_large_pieces",),
    ),
    # -- other servers in front of S3 ------------------------------------------------------------------------------
    Defect(
        "P1",
        "an upload cut without close_notify is published",
        (
            "unit/ftp/test_transfer.py::test_a_fin_without_close_notify_is_judged_by_the_policy",
            "faults/test_network.py::test_a_fin_of_the_network_inside_a_tls_record_is_no_end_of_a_file",
        ),
    ),
    Defect(
        "P2",
        "the old object is deleted before the new one is there",
        ("unit/ftp/test_transfer.py::test_a_store_that_fails_an_upload_is_answered_and_the_session_lives",),
    ),
    Defect(
        "P3",
        "226 comes before the object is in S3",
        ("unit/ftp/test_transfer.py::test_226_comes_only_after_the_store_has_confirmed_the_file",),
    ),
    Defect(
        "P4",
        "RMD a touches ab/, and what is in a",
        (
            "unit/ftp/commands/test_directories.py::test_rmd_removes_empty_directories_only",
            "unit/storage/test_tree.py::test_it_deletes_the_marker_and_nothing_else",
            "unit/storage/test_tree.py::test_it_removes_the_directory_and_all_in_it_and_nothing_else",
        ),
    ),
    Defect(
        "P5",
        "RMD leaves the marker",
        ("unit/storage/test_tree.py::test_it_deletes_the_marker_and_nothing_else",),
    ),
    Defect(
        "P6",
        "the source of a copy is not encoded",
        ("integration/test_ftplib.py::test_files_and_directories_of_odd_names_are_renamed",),
    ),
    Defect(
        "P7",
        "no rename of files over 5 GB",
        ("unit/s3/test_copy.py::test_large_object_is_copied_in_parts_with_its_description",),
    ),
    Defect(
        "P8",
        "failed uploads leave multipart uploads behind",
        ("unit/s3/test_upload.py::test_failed_request_fails_the_upload_and_leaves_nothing",),
    ),
    Defect(
        "P9",
        "whole listings in memory",
        ("unit/storage/test_tree.py::test_pages_do_not_pile_up",),
    ),
    Defect(
        "P10",
        "CWD into nothing works, and SIZE of nothing is 0",
        ("regression/test_stock_defects.py::test_what_is_not_there_has_no_size_and_cannot_be_entered",),
    ),
    Defect(
        "P11",
        "MFMT in FEAT, and always failing",
        ("unit/ftp/commands/test_table.py::test_what_is_switched_off_is_in_neither_feat_nor_help",),
    ),
    Defect(
        "P12",
        "FEAT without what works, MLST without its facts",
        (
            "unit/ftp/commands/test_table.py::test_feat_lists_what_works_and_nothing_else",
            "unit/ftp/commands/test_table.py::test_what_is_switched_off_is_in_neither_feat_nor_help",
            "unit/ftp/commands/test_facts.py::test_feat_shows_the_facts_that_are_on",
        ),
    ),
    Defect(
        "P13",
        "PBSZ and PROT are 550 on the implicit port",
        ("unit/ftp/test_server.py::test_implicit_tls_is_encrypted_from_the_first_byte_and_protects_data",),
    ),
    Defect(
        "P14",
        "bare LF in MLSD, local times, STAT over the data connection, PORT to anybody",
        (
            "property/test_ftp_listing.py::test_mlsd_lines_can_be_read_back",
            "unit/ftp/test_listing.py::test_all_times_are_utc_wherever_the_server_stands",
            "unit/ftp/commands/test_facts.py::test_stat_of_a_directory_lists_it_on_the_control_connection",
            "unit/ftp/commands/test_dataports.py::test_the_server_connects_to_the_client_alone",
        ),
    ),
    Defect(
        "P15",
        "EPSV with an argument and REST end the session",
        (
            "unit/ftp/commands/test_dataports.py::test_epsv_arguments_never_end_the_session",
            "unit/ftp/commands/test_transfers.py::test_rest_of_what_is_no_position_is_501",
        ),
    ),
    Defect(
        "P16",
        "no command is read during a transfer",
        ("unit/ftp/test_dispatcher.py::test_noop_and_stat_are_answered_during_a_transfer",),
    ),
    Defect(
        "P17",
        "passwords are hashed in the event loop",
        ("regression/test_stock_defects.py::test_a_password_is_hashed_beside_the_event_loop",),
    ),
    Defect(
        "P18",
        "USER tells which logins there are",
        ("unit/ftp/commands/test_auth.py::test_a_wrong_password_and_an_unknown_login_are_the_same_words",),
    ),
    Defect(
        "P19",
        "control lines without a limit",
        (
            "unit/ftp/test_parsing.py::test_the_middle_of_a_long_line_is_forgotten_at_once",
            "unit/ftp/test_dispatcher.py::test_a_line_over_the_limit_is_500_and_the_session_goes_on",
        ),
    ),
    Defect(
        "P20",
        "an old certificate until the restart",
        (
            "unit/test_renewal.py::test_a_renewed_certificate_is_served_without_a_restart",
            "integration/test_certificate_renewal.py::test_a_renewed_certificate_is_for_new_sessions_and_disturbs_none",
        ),
    ),
    Defect(
        "P21",
        "a limit that is declared and not kept",
        (
            "unit/ftp/test_server.py::test_more_sessions_than_allowed_get_421_and_a_place_is_free_again_later",
            "unit/ftp/test_server.py::test_one_address_cannot_take_all_sessions",
        ),
    ),
    Defect(
        "P22",
        "the data connection has a second or two to come",
        ("regression/test_stock_defects.py::test_data_connections_have_half_a_minute_to_come",),
    ),
    Defect(
        "P23",
        "empty files",
        (
            "unit/s3/test_upload.py::test_what_fits_into_one_part_is_one_put",
            "unit/ftp/test_transfer.py::test_an_upload_and_its_download_are_the_same_bytes",
        ),
    ),
    Defect(
        "P24",
        "no uploads over 48 GiB",
        ("unit/s3/test_parts.py::test_a_stream_of_unknown_length_reaches_50_tb_if_memory_allows",),
    ),
)


def docstrings(path: Path) -> Mapping[str, str]:
    """The functions of a test file."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {
        node.name: ast.get_docstring(node) or ""
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_defect_is_in_the_table_once() -> None:
    expected = [*(f"D{number}" for number in range(1, 48)), *(f"P{number}" for number in range(1, 25))]
    assert [defect.number for defect in DEFECTS] == expected


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.number)
def test_each_defect_has_tests_that_name_it_or_a_reason(defect: Defect) -> None:
    assert defect.what
    assert bool(defect.tests) != bool(defect.reason)
    for test in defect.tests:
        path, _, name = test.partition("::")
        found = docstrings(TESTS / path)
        assert name in found, test
        assert defect.number in found[name].replace(",", " ").replace(":", " ").replace(".", " ").split(), test


# -- what no other test shows --------------------------------------------------------------------------------------


async def test_handshakes_of_data_connections_are_acknowledged_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """D2: else Nagle's algorithm and a delayed ACK hold each small upload back for 40 ms."""
    given: list[tuple[Any, ...]] = []
    original = trsock.TransportSocket.setsockopt

    def setsockopt(self: trsock.TransportSocket, *args: Any) -> None:
        given.append(args)
        original(self, *args)

    async with running_server(encrypted()) as running:
        client = await running.client()
        monkeypatch.setattr(trsock.TransportSocket, "setsockopt", setsockopt)
        await client.upload("file", b"data")
        assert (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1) in given


async def test_files_move_in_large_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """D47: smaller ones cost two to three times the CPU."""
    content = bytes(4 * 1024 * 1024)
    pieces: list[int] = []
    write, read_into = DataConnection.write, DataConnection.read_into

    async def writing(self: DataConnection, data: bytes | memoryview) -> None:
        pieces.append(len(data))
        await write(self, data)

    def reading(self: DataConnection, room: memoryview) -> int:
        pieces.append(read_into(self, room))
        return pieces[-1]

    monkeypatch.setattr(DataConnection, "write", writing)
    monkeypatch.setattr(DataConnection, "read_into", reading)
    async with running_server(encrypted()) as running:
        client = await running.client()
        for move in (client.upload("file", content), client.download("RETR file")):
            pieces.clear()
            await move
            assert sum(pieces) == len(content)
            assert len(pieces) < len(content) // (16 * 1024)


async def test_what_is_not_there_has_no_size_and_cannot_be_entered() -> None:
    """P10."""
    async with running_server(store=FtpStore({"dir/file": b"data"})) as running:
        client = await running.client()
        for verb in ("SIZE", "MDTM", "CWD", "MLST", "RNFR", "DELE", "RMD", "STAT"):
            assert (verb, *await client.codes(f"{verb} none", f"{verb} dir/none")) == (verb, 550, 550)
        assert await client.codes("SIZE dir", "MDTM dir") == [550, 550]


async def test_a_password_is_hashed_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """P17: hashing takes a while, in which nobody else would be served."""
    hashing, served = threading.Event(), threading.Event()

    def matches(self: PasswordHash, password: str) -> bool:
        hashing.set()
        return served.wait(10)

    user = EnvironmentUser("user", str(hash_password("password")))
    monkeypatch.setattr(PasswordHash, "matches", matches)
    login = asyncio.create_task(user.authenticate("user", "password", peer="192.0.2.1"))
    await until(hashing.is_set)
    served.set()
    assert await login is not None


def test_data_connections_have_half_a_minute_to_come() -> None:
    """P22."""
    assert FtpConfig().data_connect_timeout >= 30
