"""What replies look like, and which code each storage error has."""

from __future__ import annotations

import inspect

import pytest

from aioftps3.ftp.replies import Reply, ReplyError, printable, quoted_path, storage_reply
from aioftps3.storage import errors
from aioftps3.storage.errors import StorageError

KINDS = sorted(
    (
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, StorageError) and kind is not StorageError
    ),
    key=lambda kind: kind.__name__,
)

CODES = {
    "Archived": (550, 550),
    "Busy": (450, 450),
    "Changed": (451, 451),
    "Corrupt": (451, 451),
    "Denied": (550, 550),
    "Exists": (550, 550),
    "OverwriteRefused": (553, 553),
    "IsADirectory": (550, 550),
    "Misconfigured": (451, 451),
    "NameInvalid": (550, 553),
    "NotADirectory": (550, 550),
    "NotEmpty": (550, 550),
    "NotFound": (550, 550),
    "NotSupported": (504, 504),
    "MetadataFull": (550, 550),
    "Quota": (552, 552),
    "RangeInvalid": (554, 554),
    "StorageFull": (452, 452),
    "TooSlow": (451, 451),
    "Unavailable": (451, 451),
}


def test_every_storage_error_has_a_code_that_this_table_names() -> None:
    assert {kind.__name__ for kind in KINDS} == set(CODES)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_storage_error_becomes_its_code_and_its_fixed_words(kind: type[StorageError]) -> None:
    error = kind("detail for the log: key secret/key, request 42")
    using, making = CODES[kind.__name__]
    assert storage_reply(error) == Reply(using, kind.words)
    assert storage_reply(error, making=True) == Reply(making, kind.words)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_after_150_nothing_says_try_again_with_450(kind: type[StorageError]) -> None:
    code = storage_reply(kind(), streaming=True).code
    assert code == (451 if kind is errors.Busy else CODES[kind.__name__][0])


def test_a_new_kind_of_error_takes_the_code_of_its_base() -> None:
    class Vanished(errors.NotFound):
        pass

    class Strange(StorageError):
        pass

    assert storage_reply(Vanished()).code == 550
    assert storage_reply(Strange()).code == 451


def test_a_reply_of_one_line() -> None:
    reply = Reply(200, "OK.")
    assert reply.encode() == b"200 OK.\r\n"


def test_a_reply_of_several_lines_has_one_blank_before_each_middle_line() -> None:
    """RFC 2389 section 3.2: clients want exactly one blank, and no blank at the end of a line."""
    reply = Reply(211, "Features:", ("UTF8", "SIZE"))
    assert reply.encode() == b"211-Features:\r\n UTF8\r\n SIZE\r\n211 End\r\n"


def test_a_multi_line_reply_without_lines_keeps_its_form() -> None:
    assert Reply(212, "Status:", multiline=True).encode() == b"212-Status:\r\n212 End\r\n"


def test_a_line_that_begins_with_the_code_does_not_end_the_reply() -> None:
    assert Reply(212, "x", ("212 End",)).encode().split(b"\r\n") == [b"212-x", b" 212 End", b"212 End", b""]


def test_a_name_cannot_forge_a_line() -> None:
    """D28."""
    reply = Reply(550, "a\r\n226 Done\x00\x1b[2J\x85\u2028b")
    assert reply.encode() == b"550 a??226 Done??[2J\xc2\x85\xe2\x80\xa8b\r\n"


def test_bytes_that_are_not_utf8_go_back_as_they_came() -> None:
    assert Reply(550, "caf\udce9").encode() == b"550 caf\xe9\r\n"


def test_quotes_in_paths_are_doubled() -> None:
    """D34."""
    assert quoted_path('/di"r') == '"/di""r"'


def test_printable_leaves_letters_alone() -> None:
    assert printable("é日本 🦊") == "é日本 🦊"


def test_a_reply_error_carries_its_reply() -> None:
    error = ReplyError(425, "Use PASV first.")
    assert error.reply == Reply(425, "Use PASV first.")
    assert str(error) == "425 Use PASV first."
