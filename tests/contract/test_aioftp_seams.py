"""Each seam of aioftp that is built on, and each behaviour of it that is replaced: a new release that moves one fails.

The first part holds what `aioftps3.ftp` imports and overrides, the second serves an `S3PathIO` from a stock
`aioftp.Server`, the third shows the defects of the stock server (D1..D47) that are the reason for the replacement: when
one of those tests fails, aioftp has become better, and a part of ours may go.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import inspect
import re
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import aioftp
import pytest
from aioftp.common import Connection
from aioftp.pathio import AbstractPathIO, AsyncPathIOContext, PathIONursery
from aioftp.server import AvailableConnections

from aioftps3.auth.users import EnvironmentUser
from aioftps3.ftp.pathio import S3File, S3PathIO
from aioftps3.ftp.server import FtpsServer
from aioftps3.ftp.users import GatewayUser, UserManager
from aioftps3.storage.errors import NotFound, RangeInvalid, StorageError, TooSlow, Unavailable
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.tree import Tree
from tests.support.ftp_session import HOST, LOGIN, PASSWORD, FtpStore, Wire, running_server

# -- what is imported and overridden -------------------------------------------------------------------------------


def test_the_installed_release_is_in_the_range_that_the_package_asks_for() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    (wanted,) = [line for line in project["dependencies"] if line.startswith("aioftp")]
    assert wanted == "aioftp>=0.28.3,<0.29"
    release = tuple(map(int, importlib.metadata.version("aioftp").split(".")))
    assert (0, 28, 3) <= release < (0, 29)


def test_the_server_takes_the_arguments_that_ours_hands_on() -> None:
    parameters = inspect.signature(aioftp.Server.__init__).parameters
    assert list(parameters)[:2] == ["self", "users"]
    assert set(parameters) >= {"path_io_factory", "maximum_connections", "idle_timeout", "socket_timeout"}


def test_ours_is_a_server_of_aioftp_with_its_entry_points() -> None:
    assert issubclass(FtpsServer, aioftp.Server)
    for name in ("start", "close", "dispatcher"):
        ours, theirs = getattr(FtpsServer, name), getattr(aioftp.Server, name)
        assert ours is not theirs
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters), name


async def test_start_sets_what_aioftps_address_and_serve_forever_use() -> None:
    async with running_server() as running:
        assert running.server.address == (HOST, running.port())
        assert running.server.server.is_serving()


async def test_the_dispatcher_serves_a_connection_that_aioftp_accepted() -> None:
    async with running_server() as running:
        listener = await asyncio.start_server(running.server.dispatcher, HOST, 0)
        wire = await Wire.connect(listener.sockets[0].getsockname()[1])
        assert (await wire.receive()).startswith(b"220 ")
        await wire.send(b"QUIT\r\n")
        assert (await wire.receive()).startswith(b"221 ")
        assert await wire.receive() == b""
        wire.close()
        listener.close()
        await listener.wait_closed()


def test_the_server_keeps_what_ours_uses() -> None:
    users = UserManager(EnvironmentUser(LOGIN, PASSWORD), lambda _: Tree(FtpStore(), locks=PathLocks()))
    stock = aioftp.Server(users, path_io_factory=S3PathIO, maximum_connections=2)  # type: ignore[arg-type]  # as ours
    assert stock.user_manager is users
    assert isinstance(stock.available_connections, AvailableConnections)
    assert isinstance(stock.path_io_factory, PathIONursery)


def test_the_nursery_makes_a_path_io_for_each_connection() -> None:
    nursery = PathIONursery(S3PathIO)
    connection = _connection()
    made = nursery(timeout=None, connection=connection)
    assert isinstance(made, S3PathIO)
    assert made.connection is connection
    assert nursery(timeout=None, connection=None) is not made


def _connection() -> Connection:
    async def make() -> Connection:
        return Connection(client_host=HOST)

    return asyncio.run(make())


async def test_a_connection_is_a_bag_of_attributes_that_can_be_set_again() -> None:
    connection = Connection(client_host="a", server_host="b", socket_timeout=1.0)
    assert (connection.client_host, connection.server_host, connection.socket_timeout) == ("a", "b", 1.0)
    with pytest.raises(AttributeError):
        _ = connection.user
    connection.user = 1
    connection.user = 2
    assert connection.user == 2


def test_available_connections_count_and_know_when_they_are_used_up() -> None:
    places = AvailableConnections(2)
    places.acquire()
    assert not places.locked()
    places.acquire()
    assert places.locked()
    places.release()
    assert not places.locked()
    places.release()
    with pytest.raises(ValueError, match="Too many releases"):
        places.release()


def test_a_user_manager_has_these_methods_and_answers() -> None:
    assert aioftp.AbstractUserManager.__abstractmethods__ == {"get_user", "authenticate"}
    names = {response.name for response in aioftp.AbstractUserManager.GetUserResponse}
    assert names == {"OK", "PASSWORD_REQUIRED", "ERROR"}
    assert inspect.iscoroutinefunction(aioftp.AbstractUserManager.notify_logout)


async def test_every_login_is_asked_for_a_password_and_only_the_right_one_gets_a_tree() -> None:
    """D17: `MemoryUserManager` tells unknown logins and compares plain passwords."""
    tree = Tree(FtpStore(), locks=PathLocks())
    users = UserManager(EnvironmentUser(LOGIN, PASSWORD), lambda _: tree)
    for login in (LOGIN, "nobody"):
        response, user, prompt = await users.get_user(login)
        assert response is aioftp.AbstractUserManager.GetUserResponse.PASSWORD_REQUIRED
        assert isinstance(user, GatewayUser)
        assert login not in prompt
        assert not await users.authenticate(user, "wrong")
        assert user.tree is None
        assert await users.authenticate(user, PASSWORD) == (login == LOGIN)
        assert (user.tree is tree) == (login == LOGIN)
        assert PASSWORD not in repr(user)
        assert user.password is None
    assert not await users.authenticate(aioftp.User(LOGIN, PASSWORD), PASSWORD)


def test_a_path_io_has_these_abstract_methods_and_ours_has_them_all() -> None:
    assert AbstractPathIO.__abstractmethods__ == {
        "exists", "is_dir", "is_file", "mkdir", "rmdir", "unlink", "list", "stat", "_open", "seek", "write", "read",
        "close", "rename",
    }  # fmt: skip
    assert S3PathIO.__abstractmethods__ == frozenset()
    for name in AbstractPathIO.__abstractmethods__ - {"_open", "seek", "write", "read", "close"}:
        ours = list(inspect.signature(getattr(S3PathIO, name)).parameters)
        assert ours == list(inspect.signature(getattr(AbstractPathIO, name)).parameters), name


def test_a_path_io_error_carries_the_exception_as_its_reason() -> None:
    assert issubclass(aioftp.PathIOError, Exception)
    error = aioftp.PathIOError(reason=(ValueError, ValueError("x"), None))  # type: ignore[arg-type]  # no traceback here
    assert error.reason is not None
    assert error.reason[0] is ValueError


def test_commands_of_the_stock_server_are_a_plain_dict_without_those_that_clients_need() -> None:
    """D7, D29: ours are in `aioftps3.ftp.commands`."""
    mapping = aioftp.Server().commands_mapping
    assert type(mapping) is dict
    missing = "auth feat opts noop size mdtm stat nlst stru mode allo site help xpwd xmkd xcup".split()  # noqa: SIM905
    assert not set(missing) & set(mapping)


# -- S3PathIO under a stock server ---------------------------------------------------------------------------------


@dataclass
class Stock:
    """A stock server over an S3PathIO."""

    store: FtpStore
    port: int

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[aioftp.Client]:
        async with aioftp.Client.context(HOST, self.port, LOGIN, PASSWORD) as client:
            yield client


@contextlib.asynccontextmanager
async def stock_server(store: FtpStore) -> AsyncIterator[Stock]:
    tree = Tree(store, locks=PathLocks())
    users = UserManager(EnvironmentUser(LOGIN, PASSWORD), lambda _: tree)
    server = aioftp.Server(users, path_io_factory=S3PathIO, block_size=65536)  # type: ignore[arg-type]  # as ours
    await server.start(HOST, 0)
    try:
        yield Stock(store, server.server_port)
    finally:
        await server.close()


async def test_a_stock_server_serves_our_files_to_aioftps_own_client(tmp_path: Path) -> None:
    async with stock_server(FtpStore({"dir/one": b"1", "dir/two": b"22"})) as stock, stock.client() as client:
        assert [str(path) for path, _ in await client.list("dir")] == ["dir/one", "dir/two"]
        assert (await client.stat("dir/two"))["size"] == "2"
        await client.make_directory("made")
        await client.change_directory("made")
        async with client.upload_stream("up") as stream:
            await stream.write(b"uploaded")
        async with client.download_stream("up") as stream:
            assert await stream.read() == b"uploaded"
        async with client.download_stream("up", offset=2) as stream:
            assert await stream.read() == b"loaded"
        await client.rename("up", "renamed")
        await client.change_directory("/")
        await client.download("dir", str(tmp_path / "copy"), write_into=True)
        assert (tmp_path / "copy" / "two").read_bytes() == b"22"
        await client.remove_file("made/renamed")
        await client.remove_directory("made")
        assert stock.store.contents == {"dir/one": b"1", "dir/two": b"22"}


async def test_listing_costs_no_request_for_each_entry() -> None:
    """D45: listed paths carry their stat."""
    async with stock_server(FtpStore({f"{n:03d}": b"" for n in range(100)})) as stock, stock.client() as client:
        stock.store.operations()
        assert len(await client.list()) == 100
        assert len(stock.store.operations()) <= 3


async def test_a_storage_error_leaves_as_a_path_io_error_and_a_stock_server_answers_451() -> None:
    async with stock_server(FtpStore({"file": b"x"})) as stock, stock.client() as client:
        stock.store.fail(Unavailable())
        with pytest.raises(aioftp.StatusCodeError) as raised:
            await client.remove_file("file")
        assert raised.value.received_codes == ("451",)
        stock.store.fail(Unavailable(), "no operation")
        await client.remove_file("file")


@pytest.fixture
async def path_io() -> S3PathIO:
    """A path-io of somebody who is logged in."""
    return _logged_in()


def _logged_in() -> S3PathIO:
    connection = Connection(user=GatewayUser(LOGIN))
    connection.user.tree = Tree(FtpStore({"file": b"0123456789", "dir/x": b""}), locks=PathLocks())
    return S3PathIO(connection=connection)


def store_of(path_io: S3PathIO) -> FtpStore:
    store = path_io.tree._store
    assert isinstance(store, FtpStore)
    return store


async def test_path_io_errors_keep_the_storage_error_as_cause_and_reason(path_io: S3PathIO) -> None:
    calls: list[Any] = [
        path_io.stat(PurePosixPath("/none")),
        path_io.unlink(PurePosixPath("/none")),
        path_io.rmdir(PurePosixPath("/none")),
        path_io.rename(PurePosixPath("/none"), PurePosixPath("/x")),
        path_io.file_entry(PurePosixPath("/dir")),
        anext(path_io.pages(PurePosixPath("/none"))),
        path_io.open(PurePosixPath("/none"), "rb", 0).__aenter__(),
    ]
    for call in calls:
        with pytest.raises(aioftp.PathIOError) as raised:
            await call
        assert isinstance(raised.value.__cause__, NotFound)
        assert raised.value.reason is not None
        assert raised.value.reason[1] is raised.value.__cause__


async def test_questions_about_paths(path_io: S3PathIO) -> None:
    file, directory, none = (PurePosixPath(f"/{name}") for name in ("file", "dir", "none"))
    assert [await path_io.exists(path) for path in (file, directory, none)] == [True, True, False]
    assert [await path_io.is_dir(path) for path in (file, directory, none)] == [False, True, False]
    assert [await path_io.is_file(path) for path in (file, directory, none)] == [True, False, False]
    assert (await path_io.stat(file)).st_size == 10
    listed = await path_io.list(PurePosixPath("/"))
    assert [str(path) for path in listed] == ["/dir", "/file"]
    store_of(path_io).operations()
    assert [await path_io.is_dir(path) for path in listed] == [True, False]
    assert [await path_io.is_file(path) for path in listed] == [False, True]
    assert (await path_io.stat(listed[1])).st_size == 10
    assert store_of(path_io).operations() == []
    with pytest.raises(aioftp.PathIOError):
        await path_io.mkdir(directory)
    await path_io.mkdir(directory, exist_ok=True, parents=True)


async def write_half_and_fail(context: Any, error: BaseException) -> None:
    async with context as file:
        await file.write(b"half")
        raise error


async def test_open_commits_at_a_good_end_and_aborts_at_any_other(path_io: S3PathIO) -> None:
    """D4."""
    store, path = store_of(path_io), PurePosixPath("/file")
    for error in (RuntimeError(), asyncio.CancelledError(), aioftp.PathIOError()):
        with pytest.raises(type(error)):
            await write_half_and_fail(path_io.open(path, "wb"), error)
        assert store.contents["file"] == b"0123456789"
        assert not store.open_writers
    async with path_io.open(path, "wb") as file:
        assert await file.write(b"wh") == 2
        room = await file.room()
        room[:3] = b"ole"
        file.filled(3)
    assert store.contents["file"] == b"whole"


async def test_a_store_that_fails_meanwhile_tells_who_has_opened_the_file(path_io: S3PathIO) -> None:
    told = asyncio.Event()

    async def work() -> None:
        async with path_io.open(PurePosixPath("/new"), "wb") as file:
            file.on_broken(told.set)
            (writer,) = store_of(path_io).open_writers
            writer.break_down(TooSlow())
            await told.wait()
            await file.room()

    with pytest.raises(aioftp.PathIOError) as raised:
        await work()
    assert isinstance(raised.value.__cause__, TooSlow)


async def test_open_refuses_modes_that_s3_has_not(path_io: S3PathIO) -> None:
    for mode in ("xb", "w+b", "r"):
        with pytest.raises(aioftp.PathIOError) as raised:
            async with path_io.open(PurePosixPath("/file"), mode):
                pass
        assert isinstance(raised.value.__cause__, StorageError)
    assert store_of(path_io).contents["file"] == b"0123456789"


async def test_files_are_gone_on_with_as_the_stock_server_does_it(path_io: S3PathIO) -> None:
    """It opens for APPE in mode ab, and for STOR behind a REST in mode r+b, and seeks then."""
    store, path = store_of(path_io), PurePosixPath("/file")
    async with path_io.open(path, "ab") as file:
        assert file.kept == 10
        await file.write(b"X")
    assert store.contents["file"] == b"0123456789X"
    async with path_io.open(path, "r+b") as file:
        assert await file.seek(3) == 3
        await file.write(b"Y")
        with pytest.raises(aioftp.PathIOError):
            await file.seek(0)
        assert file.kept == 3
    assert store.contents["file"] == b"012Y"
    async with path_io.open(path, "r+b", 2) as file:
        assert file.kept == 2
    assert store.contents["file"] == b"01"
    with pytest.raises(aioftp.PathIOError) as raised:
        async with path_io.open(path, "r+b", 3):
            pass
    assert isinstance(raised.value.__cause__, RangeInvalid)
    with pytest.raises(ZeroDivisionError):
        await write_half_and_fail(path_io.open(path, "ab"), ZeroDivisionError())
    assert store.contents["file"] == b"01"


async def test_a_stock_server_goes_on_with_files(tmp_path: Path) -> None:
    async with stock_server(FtpStore({"file": b"0123456789"})) as stock, stock.client() as client:
        async with client.append_stream("file") as stream:
            await stream.write(b"X")
        assert stock.store.contents["file"] == b"0123456789X"
        async with client.upload_stream("file", offset=3) as stream:
            await stream.write(b"Y")
        assert stock.store.contents["file"] == b"012Y"


async def test_reading_by_blocks_from_a_position_and_without_a_second_request(path_io: S3PathIO) -> None:
    store = store_of(path_io)
    store.operations()
    async with path_io.open(PurePosixPath("/file"), "rb") as file:
        await file.seek(3)
        assert [block async for block in file.iter_by_block(4)] == [b"3456", b"789"]
        with pytest.raises(aioftp.PathIOError):
            await file.seek(0)
        with pytest.raises(aioftp.PathIOError):
            await file.write(b"x")
    assert store.operations() == ["GetObject"]
    async with path_io.open(PurePosixPath("/file"), "rb", 8) as file:
        assert file.entry.size == 10
        assert await file.read() == b"89"
    assert store.open_bodies == 0


async def test_the_low_level_methods_of_the_interface_work_too(path_io: S3PathIO) -> None:
    file = await path_io._open(PurePosixPath("/file"), "rb")
    assert isinstance(file, S3File)
    assert await path_io.seek(file, 2) == 2
    assert await path_io.read(file, 3) == b"234"
    await path_io.close(file)
    file = await path_io._open(PurePosixPath("/new"), "wb")
    await path_io.write(file, b"new")
    await path_io.close(file)
    assert store_of(path_io).contents["new"] == b"new"


def test_there_is_no_tree_before_the_login() -> None:
    with pytest.raises(ValueError, match="connection"):
        _ = S3PathIO().tree


# -- what is replaced, and why -------------------------------------------------------------------------------------


class Stored(aioftp.MemoryPathIO):
    """Aioftp's path-io in memory, which tells of each close."""

    closed: list[bytes]

    async def close(self, file: Any) -> None:
        Stored.closed.append(file.getvalue())


async def test_the_stock_context_closes_alike_on_success_and_on_failure() -> None:
    """D4: to S3 that would be the commit of half a file; `S3PathIO.open` replaces the context."""
    Stored.closed = []
    path_io = Stored()
    assert isinstance(path_io.open(PurePosixPath("/x")), AsyncPathIOContext)
    with pytest.raises(asyncio.CancelledError):
        await write_half_and_fail(path_io.open(PurePosixPath("/file"), mode="wb"), asyncio.CancelledError())
    assert Stored.closed == [b"half"]
    assert isinstance(S3PathIO.open(_logged_in(), PurePosixPath("/x"), "wb"), S3File)


@contextlib.asynccontextmanager
async def stock_session() -> AsyncIterator[Wire]:
    """A stock server's control connection, logged in."""
    server = aioftp.Server(path_io_factory=aioftp.MemoryPathIO)  # type: ignore[arg-type]  # aioftp's own
    await server.start(HOST, 0)
    wire = await Wire.connect(server.server_port)
    try:
        await wire.receive()
        assert await ask(wire, b"USER anonymous\r\n") == [230]
        yield wire
    finally:
        wire.close()
        await server.close()


async def ask(wire: Wire, lines: bytes, count: int = 1) -> list[int]:
    """Send bytes; the codes of the next replies."""
    await wire.send(lines)
    received = b""
    while len(codes := re.findall(rb"^(\d{3}) .*\r\n", received, re.MULTILINE)) < count:
        data = await wire.receive()
        if not data:
            break
        received += data
    return [int(code) for code in codes]


async def test_the_stock_server_knows_no_auth_and_no_feat() -> None:
    """D7, D29."""
    async with stock_session() as wire:
        assert await ask(wire, b"AUTH TLS\r\n") == [502]
        assert await ask(wire, b"FEAT\r\n") == [502]


@pytest.mark.parametrize("line", [b"CWD caf\xe9\r\n", b"X" * 140_000 + b"\r\n"])
async def test_the_stock_server_drops_sessions_for_strange_lines(line: bytes) -> None:
    """D23, D26."""
    async with stock_session() as wire:
        with contextlib.suppress(ConnectionError):
            assert await ask(wire, line) == []


async def test_the_stock_server_answers_pipelined_commands_out_of_order() -> None:
    """D6: a command begins before the one in front of it has ended."""
    async with stock_session() as wire:
        codes = await ask(wire, b"TYPE I\r\nFOO\r\nPWD\r\nBAR\r\nPASV\r\nCWD /\r\n", 6)
        assert sorted(codes) == [200, 227, 250, 257, 502, 502]
        assert codes != [200, 502, 257, 502, 227, 250]


async def test_the_stock_server_strips_names_and_refuses_common_types() -> None:
    """D27, D32."""
    async with stock_session() as wire:
        assert await ask(wire, b"MKD a \r\n") == [257]
        assert await ask(wire, b"CWD a\r\n") == [250]
        assert await ask(wire, b"TYPE A N\r\n") == [502]
        assert await ask(wire, b"type i\r\n") == [502]


async def test_the_stock_server_ends_mlsd_with_200() -> None:
    """D30."""
    async with stock_session() as wire:
        await wire.send(b"EPSV\r\n")
        found = re.search(rb"\|\|\|(\d+)\|", await wire.receive())
        assert found is not None
        data = await Wire.connect(int(found[1]))
        assert await ask(wire, b"MLSD\r\n", 2) == [150, 200]
        data.close()


async def test_the_stock_server_lets_a_stranger_have_the_data_connection() -> None:
    """D9."""
    async with stock_session() as wire:
        await wire.send(b"EPSV\r\n")
        found = re.search(rb"\|\|\|(\d+)\|", await wire.receive())
        assert found is not None
        stranger = await Wire.connect(int(found[1]), source="127.0.0.2")
        await wire.send(b"STOR file\r\n")
        await stranger.send(b"EVIL")
        stranger.close()
        assert await ask(wire, b"", 2) == [150, 226]


async def test_the_stock_server_drops_the_session_when_a_data_connection_is_reset() -> None:
    """D5."""
    async with stock_session() as wire:
        await wire.send(b"EPSV\r\n")
        found = re.search(rb"\|\|\|(\d+)\|", await wire.receive())
        assert found is not None
        data = await Wire.connect(int(found[1]))
        assert await ask(wire, b"STOR file\r\n") == [150]
        await data.send(b"half")
        data.reset()
        assert await ask(wire, b"") == []
