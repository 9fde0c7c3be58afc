"""The whole gateway in one loop: FTP server, tree, S3 client, proxy and embedded S3, with everything that can leak.

`fault_scene` is the leak check of all fault tests: after its block no task, socket, data port, byte of the budget,
lock, session or multipart upload may be left.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import time
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from unittest import mock

from aioftps3.auth.users import EnvironmentUser
from aioftps3.embedded import EmbeddedS3, Limits
from aioftps3.embedded.faults import FaultScript, Gate
from aioftps3.ftp.config import FtpConfig, RequireTls
from aioftps3.ftp.server import FtpsServer
from aioftps3.s3 import completion, sender
from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.client import S3Client
from aioftps3.s3.copy import SINGLE_COPY_BYTES
from aioftps3.s3.credentials import StaticCredentials
from aioftps3.s3.models import Endpoint
from aioftps3.s3.ranges import Pace, Parallel
from aioftps3.s3.retry import RetryPolicy
from aioftps3.s3.transport import AiohttpTransport
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.s3store import S3Store
from aioftps3.storage.tree import Tree
from tests.support.ftp_session import (
    HOST,
    LOGIN,
    PASSWORD,
    PATIENCE_SECONDS,
    Answer,
    FtpClient,
    FtpStore,
    Running,
    Wire,
    client_context,
    open_sockets,
    server_tls,
    settle,
)
from tests.support.proxy import Proxy
from tests.support.rules import contention

__all__ = ("BLOCK", "PART", "Scene", "at_step", "fault_scene", "noise", "push", "task_steps", "until")

PART = 32 * 1024
"""Part size in fault tests, and the smallest that the embedded S3 takes: multipart uploads cost next to nothing."""

BLOCK = PART // 4
"""What an upload takes of the memory budget at a time."""

BUCKET, ACCESS_KEY, SECRET_KEY = "faults", "AKIDFAULTS", "a secret key"

QUICK_RETRY = RetryPolicy(attempts=3, base_seconds=0.001, throttling_base_seconds=0.001, cap_seconds=0.01)
"""Gives up after three tries without anybody waiting."""

DATA_PORTS = 8

T = TypeVar("T")


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that no other call with another size or seed gives."""
    return random.Random(f"{size} {seed}").randbytes(size)


async def until(condition: Callable[[], object], what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Return when the condition holds; fail the test when it does not within the seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(0.002)


@dataclass(slots=True)
class Scene:
    """Everything of one test."""

    s3: EmbeddedS3
    script: FaultScript
    proxy: Proxy
    """Between the S3 client and S3, when the scene was made with it."""
    s3_client: S3Client
    budget: ByteBudget
    locks: PathLocks
    tree: Tree
    """What clients get that log in from now on."""
    running: Running
    clock_offset: float = 0.0
    """Seconds that S3's clock is ahead."""
    gates: list[Gate] = field(default_factory=list)

    @property
    def server(self) -> FtpsServer:
        """The FTP server."""
        return self.running.server

    def gate(self) -> Gate:
        """A gate that opens at the end of the test at the latest."""
        gate = Gate()
        self.gates.append(gate)
        return gate

    def open_gates(self) -> None:
        """Let everything that was held go on."""
        for gate in self.gates:
            gate.open()

    def content(self, name: str) -> bytes | None:
        """What S3 holds under a name."""
        try:
            return self.s3.read(name)
        except KeyError:
            return None

    async def client(self) -> FtpClient:
        """A client that is logged in, in TYPE I."""
        client = await self.running.client()
        await client.expect(200, "TYPE I")
        return client

    async def store(self, client: FtpClient, name: str, content: bytes, *, verb: str = "STOR") -> Answer:
        """An upload by a well-behaved client, to whose data connection anything may happen; the final reply."""
        wire = await client.open_data(f"{verb} {name}")
        await push(wire, content)
        return await client.reply()

    async def fetch(self, client: FtpClient, line: str) -> tuple[int, bytes]:
        """RETR or a listing, whatever comes of it: the final code and the bytes that came."""
        wire = await client.connect_data()
        await client.send(line)
        answer = await client.reply()
        data = b""
        if answer.code == 150:
            with contextlib.suppress(OSError, ssl.SSLError):
                await client.encrypt(wire)
                data = await wire.receive_all()
            wire.close()
            answer = await client.reply()
            if answer.code != 226:
                assert wire.ended_by != "close_notify", "a cut download must not look like a whole one"
        wire.close()
        return answer.code, data

    def remains(self) -> dict[str, object]:
        """What operations in progress hold; empty when there are none."""
        found: dict[str, object] = {
            "multipart uploads": self.s3.uploads_in_progress,
            "bytes of the budget": self.budget.in_use,
            "waiting for the budget": self.budget.waiting,
            "locks": len(self.locks),
            "data ports": len(self.server.config.data_ports) - self.server.free_data_ports,
        }
        return {name: value for name, value in found.items() if value}

    async def assert_nothing_is_held(self) -> None:
        """Whatever the last operations held is given back soon."""
        try:
            await until(lambda: not self.remains(), "")
        except AssertionError:
            raise AssertionError(f"still held: {self.remains()}") from None

    async def assert_session_lives(self, client: FtpClient) -> None:
        """The control connection is in step, and a whole transfer works."""
        assert await client.codes("NOOP", "PWD") == [200, 257]
        content = noise(PART + 1, seed=99)
        assert (await self.store(client, "afterwards", content)).code == 226
        assert self.content("afterwards") == content
        self.s3.delete("afterwards")


async def push(wire: Wire, content: bytes, *, pieces: int = 1) -> None:
    """Send a file and end it in order; a server that has hung up is no failure of the client."""
    size = max(1, -(-len(content) // pieces))
    with contextlib.suppress(OSError, ssl.SSLError):
        for start in range(0, len(content), size):
            await wire.send(content[start : start + size])
            if pieces > 1:
                await settle()  # let it arrive by itself
        await wire.end_in_order()
    wire.close()


def _spare_ports(count: int) -> tuple[int, ...]:
    """Ports that the kernel says are free."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            sock = stack.enter_context(socket.socket())
            sock.bind((HOST, 0))
            found.append(int(sock.getsockname()[1]))
        return tuple(found)


@contextlib.asynccontextmanager
async def fault_scene(
    *,
    parts_in_budget: int = 8,
    memory_patience: float = PATIENCE_SECONDS,
    parts_in_flight: int = 3,
    download_streams: int = 1,
    through_proxy: bool = False,
    read_timeout: float = PATIENCE_SECONDS,
    retry: RetryPolicy = QUICK_RETRY,
    require_tls: RequireTls = RequireTls.CONTROL_AND_DATA,
    ends_by_itself: bool = True,
    single_copy_bytes: int = SINGLE_COPY_BYTES,
    **config: Any,
) -> AsyncIterator[Scene]:
    """A gateway and its S3; further options are FtpConfig's.

    ``memory_patience``: how long an upload waits for memory until silent ones lose theirs, in seconds.
    ``read_timeout``: how long S3 may be silent, in seconds, also at Complete and Copy; longer on a busy machine, where
    it is silent without meaning to. ``download_streams``: with more than one, S3 always counts as the slower side, and
    files of three parts or more are read in ranges of a part.
    ``ends_by_itself``: sessions must end by the end of their clients alone, before the server is closed.
    ``single_copy_bytes``: larger files are copied in parts of `PART`.
    """
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    read_timeout = min(read_timeout * contention(), PATIENCE_SECONDS)
    scenes: list[Scene] = []
    s3 = EmbeddedS3(
        bucket=BUCKET,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        limits=Limits(min_part=PART),
        clock=lambda: time.time() + (scenes[0].clock_offset if scenes else 0.0),
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(mock.patch.object(sender, "SLOW_READ_TIMEOUT_SECONDS", read_timeout))
        for pause in ("RESOLVE_SECONDS", "RESOLVE_PAUSE_SECONDS", "SETTLE_SECONDS"):
            stack.enter_context(mock.patch.object(completion, pause, 0.02))
        await stack.enter_async_context(s3)
        s3.intercept = script = FaultScript()
        proxy = Proxy(s3.port)
        if through_proxy:
            await stack.enter_async_context(proxy)
        url = f"http://{HOST}:{proxy.port if through_proxy else s3.port}"
        transport = AiohttpTransport(read_timeout=read_timeout)
        stack.push_async_callback(transport.close)
        s3_client = S3Client(
            transport,
            Endpoint.for_bucket(BUCKET, "us-east-1", url),
            StaticCredentials(ACCESS_KEY, SECRET_KEY),
            retry=retry,
        )
        budget, locks = ByteBudget(parts_in_budget * PART, block=BLOCK, patience=memory_patience), PathLocks()
        parallel = Parallel(
            budget=budget, streams=download_streams, range_bytes=PART, least_bytes=3 * PART, measured_bytes=PART // 2
        )
        stack.enter_context(mock.patch.object(Pace, "is_held_up_by_s3", True))
        stack.enter_context(mock.patch.object(Pace, "is_held_up_by_client", False))
        store = S3Store(
            s3_client,
            budget,
            part_size=PART,
            parts_in_flight=parts_in_flight,
            least_part_bytes=PART,
            parallel=parallel if download_streams > 1 else None,
            single_copy_bytes=single_copy_bytes,
            copy_part_bytes=PART,
        )
        tree = Tree(store, locks=locks)
        ftp = {"hosts": (HOST,), "port": 0, "implicit_port": 0, "data_ports": _spare_ports(DATA_PORTS), **config}
        server = FtpsServer(
            FtpConfig(require_tls=require_tls, **ftp),
            tls=server_tls(),
            authenticator=EnvironmentUser(LOGIN, PASSWORD),
            open_tree=lambda _: scenes[0].tree,
        )
        await server.start()
        running = Running(server, FtpStore(), client_context(), [])
        scene = Scene(s3, script, proxy, s3_client, budget, locks, tree, running)
        scenes.append(scene)
        try:
            yield scene
            await scene.assert_nothing_is_held()
        finally:
            for wire in running.wires:
                wire.close()
            scene.open_gates()
            proxy.release()
            await server.drain(PATIENCE_SECONDS if ends_by_itself else 0)
            left = server.sessions
            await server.close()
        assert left == 0 or not ends_by_itself, "sessions of clients that are gone"
        assert not scene.remains()
    await settle()
    await until(lambda: asyncio.all_tasks() - tasks == set(), f"no tasks: {asyncio.all_tasks() - tasks}")
    await until(lambda: open_sockets() - sockets == set(), "no sockets")


# -- cancellation at every await -----------------------------------------------------------------------------------


@types.coroutine
def at_step(work: Coroutine[Any, Any, T], step: int, act: Callable[[], object]) -> Generator[Any, Any, T]:
    """Run a coroutine and act when it has suspended itself for the ``step``-th time, counted from 1.

    The act is called from the loop while the coroutine waits, as a cancellation from outside would be.
    """
    count = 0
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            waiting_for = work.send(value) if error is None else work.throw(error)
        except StopIteration as stop:
            result: T = stop.value
            return result
        count += 1
        if count == step:
            asyncio.get_running_loop().call_soon(act)
        value = error = None
        try:
            value = yield waiting_for
        except BaseException as raised:  # noqa: BLE001  # it belongs to the coroutine
            error = raised


@contextlib.contextmanager
def task_steps(qualname: str, step: int, act: Callable[[asyncio.Task[Any]], object]) -> Generator[list[str]]:
    """Inside the block act when a task of the coroutine function of this name suspends itself for the n-th time.

    What is given fills with one entry when that happens.
    """
    loop = asyncio.get_running_loop()
    happened: list[str] = []

    def factory(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        if getattr(work, "__qualname__", "") != qualname:
            return asyncio.Task(work, loop=loop, **options)

        def reached() -> None:
            happened.append(qualname)
            act(task)

        async def stepped() -> Any:
            return await at_step(work, step, reached)

        task = asyncio.Task(stepped(), loop=loop, **options)
        return task

    previous = loop.get_task_factory()
    loop.set_task_factory(factory)
    try:
        yield happened
    finally:
        loop.set_task_factory(previous)
