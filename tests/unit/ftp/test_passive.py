"""Data ports: who gets in, and that each port is given back."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator

import pytest

from aioftps3.ftp import passive
from aioftps3.ftp.data import DataConnection, DataLost
from aioftps3.ftp.passive import NoFreePort, PassiveListener, PortPool, same_host
from tests.support.ftp_session import (
    FOREIGN_HOST,
    HOST,
    Wire,
    client_context,
    open_sockets,
    read_some,
    server_context,
    settle,
)


def unused_ports(count: int) -> tuple[int, ...]:
    """Ports that nobody listens on; the kernel hands out different ones while all are bound."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind((HOST, 0))
        return tuple(sock.getsockname()[1] for sock in socks)


class Door:
    """A listener and what was told about strangers."""

    def __init__(self, pool: PortPool, sock: socket.socket, *, context: ssl.SSLContext | None, timeout: float) -> None:
        self.strangers: list[str] = []
        self.listener = PassiveListener(
            sock,
            pool,
            peer=HOST,
            context=context,
            connect_timeout=timeout,
            stall_timeout=5,
            handshake_timeout=timeout,
            on_foreign_peer=self.strangers.append,
        )


@contextlib.asynccontextmanager
async def a_door(
    pool: PortPool | None = None, *, context: ssl.SSLContext | None = None, timeout: float = 5
) -> AsyncIterator[Door]:
    pool = PortPool(()) if pool is None else pool
    free, sockets, tasks = pool.free, open_sockets(), asyncio.all_tasks()
    door = Door(pool, await pool.bind(HOST, socket.AF_INET), context=context, timeout=timeout)
    try:
        yield door
    finally:
        door.listener.close()
    await settle()
    assert pool.free == free
    assert open_sockets() <= sockets
    assert asyncio.all_tasks() <= tasks


async def refused(port: int) -> bool:
    """Whether nobody listens."""
    try:
        wire = await Wire.connect(port)
    except ConnectionRefusedError:
        return True
    wire.close()
    return False


# -- the pool ------------------------------------------------------------------------------------------------------


async def test_ports_are_drawn_at_random() -> None:
    """D10: who can guess the next port can try to be there first."""
    ports = unused_ports(12)
    orders = set()
    for _ in range(3):
        pool = PortPool(ports)
        socks = [await pool.bind(HOST, socket.AF_INET) for _ in ports]
        orders.add(tuple(sock.getsockname()[1] for sock in socks))
        for sock in socks:
            sock.close()
    assert all(sorted(order) == sorted(ports) for order in orders)
    assert len(orders) > 1
    assert tuple(sorted(ports)) not in orders


async def test_without_configured_ports_the_kernel_chooses() -> None:
    pool = PortPool(())
    with await pool.bind(HOST, socket.AF_INET) as one, await pool.bind(HOST, socket.AF_INET) as other:
        assert one.getsockname()[1] != other.getsockname()[1]
        pool.release(one.getsockname()[1])
    assert pool.free == 0


async def test_a_port_that_somebody_else_holds_is_passed_over() -> None:
    taken, good = unused_ports(2)
    with socket.socket() as holder:
        holder.bind((HOST, taken))
        holder.listen()
        pool = PortPool((taken, good))
        with await pool.bind(HOST, socket.AF_INET) as sock:
            assert sock.getsockname()[1] == good


async def test_an_address_that_is_not_ours_is_an_error_and_leaves_no_socket() -> None:
    sockets = open_sockets()
    with pytest.raises(OSError, match="assign") as raised:
        await PortPool(unused_ports(1)).bind("192.0.2.1", socket.AF_INET)
    assert raised.value.errno == errno.EADDRNOTAVAIL
    assert open_sockets() == sockets


async def test_an_exhausted_pool_is_no_free_port_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passive, "_PORT_WAIT_SECONDS", 0.01)
    pool = PortPool(unused_ports(1))
    with await pool.bind(HOST, socket.AF_INET):
        assert pool.free == 0
        with pytest.raises(NoFreePort):
            await pool.bind(HOST, socket.AF_INET)


async def test_whoever_waits_for_a_port_gets_the_next_one_first_come_first_served() -> None:
    port = unused_ports(1)[0]
    pool = PortPool((port,))
    held = await pool.bind(HOST, socket.AF_INET)
    first = asyncio.create_task(pool.bind(HOST, socket.AF_INET))
    second = asyncio.create_task(pool.bind(HOST, socket.AF_INET))
    await settle()
    held.close()
    pool.release(port)
    sock = await first
    assert not second.done()
    sock.close()
    pool.release(port)
    (await second).close()


class Crowd:
    """A pool whose ports are all taken, and one who waits for a port."""

    def __init__(self, ports: tuple[int, ...]) -> None:
        self.pool = PortPool(ports)
        self._held: list[socket.socket] = []

    async def gather(self) -> asyncio.Task[socket.socket]:
        while self.pool.free:
            self._held.append(await self.pool.bind(HOST, socket.AF_INET))
        waiting = asyncio.create_task(self.pool.bind(HOST, socket.AF_INET))
        await settle()
        return waiting

    def give_back(self) -> None:
        """As a session does that has a port and sends PASV again, just before it binds another one."""
        with self._held.pop() as sock:
            port = sock.getsockname()[1]
        self.pool.release(port)

    def drawn_at_once(self) -> socket.socket | None:
        """A port for a newcomer that asks in the same step, if it gets one without waiting."""
        newcomer = self.pool.bind(HOST, socket.AF_INET)
        try:
            newcomer.send(None)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        newcomer.close()
        return None


async def test_a_newcomer_takes_no_port_that_another_one_waits_for() -> None:
    crowd = Crowd(unused_ports(1))
    waiting = await crowd.gather()
    crowd.give_back()  # the one that waits is called, and has not run yet
    assert crowd.drawn_at_once() is None
    (await waiting).close()


async def test_a_newcomer_takes_a_port_that_nobody_waits_for() -> None:
    crowd = Crowd(unused_ports(2))
    waiting = await crowd.gather()
    crowd.give_back()
    crowd.give_back()
    drawn = crowd.drawn_at_once()
    assert drawn is not None
    drawn.close()
    (await waiting).close()


async def test_one_that_is_called_and_gives_up_leaves_the_port_to_newcomers() -> None:
    crowd = Crowd(unused_ports(1))
    waiting = await crowd.gather()
    crowd.give_back()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    drawn = crowd.drawn_at_once()
    assert drawn is not None
    drawn.close()


async def test_one_that_waits_for_a_port_of_another_program_is_in_nobodys_way() -> None:
    """The other program has it on one address only."""
    port = unused_ports(1)[0]
    with socket.create_server((HOST, port)):
        pool = PortPool((port,))
        waiting = asyncio.create_task(pool.bind(HOST, socket.AF_INET))
        await settle()
        async with asyncio.timeout(1):
            (await pool.bind(FOREIGN_HOST, socket.AF_INET)).close()
        waiting.cancel()


async def test_a_port_that_one_cannot_bind_is_left_to_the_next_that_waits() -> None:
    port = unused_ports(1)[0]
    pool = PortPool((port,))
    held = await pool.bind(HOST, socket.AF_INET)
    failing = asyncio.create_task(pool.bind("192.0.2.1", socket.AF_INET))
    following = asyncio.create_task(pool.bind(HOST, socket.AF_INET))
    await settle()
    held.close()
    pool.release(port)
    with pytest.raises(OSError, match="assign"):
        await failing
    async with asyncio.timeout(1):
        (await following).close()


async def test_a_waiter_that_is_cancelled_does_not_keep_the_port_from_the_next() -> None:
    port = unused_ports(1)[0]
    pool = PortPool((port,))
    held = await pool.bind(HOST, socket.AF_INET)
    first = asyncio.create_task(pool.bind(HOST, socket.AF_INET))
    second = asyncio.create_task(pool.bind(HOST, socket.AF_INET))
    await settle()
    held.close()
    pool.release(port)  # wakes the first, which is cancelled before it runs
    first.cancel()
    async with asyncio.timeout(1):
        (await second).close()
    await asyncio.gather(first, return_exceptions=True)
    assert first.cancelled()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("fe80::1%eth0", "fe80::1", True),
        ("::1", "127.0.0.1", False),
        ("", "", True),
        ("", "127.0.0.1", False),
    ],
)
def test_same_host_knows_both_forms_of_an_address(one: str, other: str, same: bool) -> None:
    assert same_host(one, other) is same


# -- one listener --------------------------------------------------------------------------------------------------


async def test_the_port_is_closed_as_soon_as_its_one_connection_is_there() -> None:
    """D9, D13."""
    port = unused_ports(1)[0]
    pool = PortPool((port,))
    async with a_door(pool) as door:
        assert pool.free == 0
        wire = await Wire.connect(port)
        connection = await door.listener.connection()
        assert pool.free == 1
        assert await refused(port)
        await wire.send(b"x")
        assert await read_some(connection) == b"x"
        wire.close()


async def test_a_stranger_is_refused_and_the_right_client_is_still_served() -> None:
    """D9: nobody else's data channel."""
    async with a_door() as door:
        stranger = await Wire.connect(door.listener.port, source=FOREIGN_HOST)
        assert await stranger.receive() == b""
        client = await Wire.connect(door.listener.port)
        connection = await door.listener.connection()
        await client.send(b"mine")
        assert await read_some(connection) == b"mine"
        assert door.strangers == [FOREIGN_HOST]
        stranger.close()
        client.close()


async def test_many_strangers_do_not_use_up_the_port() -> None:
    async with a_door() as door:
        for _ in range(20):
            stranger = await Wire.connect(door.listener.port, source=FOREIGN_HOST)
            assert await stranger.receive() == b""
            stranger.close()
        client = await Wire.connect(door.listener.port)
        await door.listener.connection()
        client.close()
        assert len(door.strangers) == 20


async def test_the_port_is_closed_when_nobody_comes() -> None:
    """D13: also when no transfer command follows."""
    port = unused_ports(1)[0]
    pool = PortPool((port,))
    sock = await pool.bind(HOST, socket.AF_INET)
    door = Door(pool, sock, context=None, timeout=0.01)
    with pytest.raises(DataLost, match=r"within 0\.01 seconds"):
        await door.listener.connection()
    assert pool.free == 1
    assert await refused(port)
    door.listener.close()
    assert pool.free == 1


async def test_a_client_may_connect_late_after_its_command() -> None:
    """D40: the wait begins anew with the transfer command; WinSCP connects after it."""
    loop = asyncio.get_running_loop()
    async with a_door(timeout=0.3) as door:
        begin = loop.time()
        waiting: asyncio.Future[None] = loop.create_future()
        loop.call_later(0.2, waiting.set_result, None)
        await waiting
        connection = asyncio.create_task(door.listener.connection())
        with pytest.raises(DataLost):
            await connection
        assert loop.time() - begin >= 0.49


async def test_close_before_anybody_came_gives_the_port_back_and_may_be_repeated() -> None:
    pool = PortPool(unused_ports(1))
    door = Door(pool, await pool.bind(HOST, socket.AF_INET), context=None, timeout=5)
    door.listener.close()
    door.listener.close()
    assert pool.free == 1
    with pytest.raises(asyncio.CancelledError):
        await door.listener.connection()


async def test_close_drops_the_connection_that_nobody_took() -> None:
    async with a_door() as door:
        wire = await Wire.connect(door.listener.port)
        await door.listener.connection()
        door.listener.close()
        assert await wire.receive() == b""
        wire.close()


async def test_close_during_the_handshake_drops_the_connection() -> None:
    async with a_door(context=server_context()) as door:
        wire = await Wire.connect(door.listener.port)
        while not await refused(door.listener.port):
            await settle()
        door.listener.close()
        assert await wire.receive() == b""
        wire.close()


async def test_cancelling_the_wait_for_a_connection_leaves_the_listener_as_it_is() -> None:
    async with a_door() as door:
        waiting = asyncio.create_task(door.listener.connection())
        await settle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        wire = await Wire.connect(door.listener.port)
        await door.listener.connection()
        wire.close()


async def test_a_handshake_that_fails_is_a_lost_data_connection() -> None:
    async with a_door(context=server_context()) as door:
        wire = await Wire.connect(door.listener.port)
        await wire.send(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(DataLost, match="TLS handshake"):
            await door.listener.connection()
        wire.close()


async def test_a_handshake_that_never_begins_is_given_up() -> None:
    async with a_door(context=server_context(), timeout=0.05) as door:
        wire = await Wire.connect(door.listener.port)
        with pytest.raises(DataLost, match="TLS handshake"):
            await door.listener.connection()
        assert await wire.receive() == b""
        wire.close()


async def test_a_handshake_that_is_reset_is_a_lost_data_connection() -> None:
    async with a_door(context=server_context()) as door:
        wire = await Wire.connect(door.listener.port)
        wire.reset()
        with pytest.raises(DataLost):
            await door.listener.connection()


async def test_tls_before_and_after_the_transfer_command_both_work() -> None:
    """FileZilla, curl and PHP begin TLS before their command has been answered, ftplib and commons-net after 150."""
    for early in (True, False):
        async with a_door(context=server_context()) as door:
            wire = await Wire.connect(door.listener.port)
            waiting: asyncio.Task[object] | None = None
            if not early:
                waiting = asyncio.create_task(door.listener.connection())
                await settle()
            await wire.start_tls(client_context())
            connection = await door.listener.connection()
            await connection.write(b"data")
            assert await wire.receive() == b"data"
            if waiting is not None:
                await waiting
            wire.close()


async def test_a_lack_of_descriptors_fails_the_listener_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection would stay in the queue and wake the loop without an end."""
    async with a_door() as door:
        sock = door.listener._sock
        assert sock is not None

        class Exhausted:
            def accept(self) -> None:
                raise OSError(errno.EMFILE, "too many open files")

            def __getattr__(self, name: str) -> object:
                return getattr(sock, name)

        monkeypatch.setattr(door.listener, "_sock", Exhausted())
        with contextlib.suppress(ConnectionError):  # the listener may be closed before the connection is reported
            (await Wire.connect(door.listener.port)).close()
        with pytest.raises(DataLost, match="too many open files"):
            await door.listener.connection()


async def test_an_unforeseen_failure_reaches_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(sock: socket.socket, **_: object) -> None:
        sock.close()
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(DataConnection, "open", fail)
    async with a_door() as door:
        wire = await Wire.connect(door.listener.port)
        with pytest.raises(RuntimeError, match="unforeseen"):
            await door.listener.connection()
        wire.close()
