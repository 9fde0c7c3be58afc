"""One randomised trial: operations and faults drawn from a seed, held against a model of what may be in S3.

The rule, for each operation: acknowledged means done, exactly; not acknowledged means as before, or, when an answer of
S3 was lost or the client left while its whole file was being committed, as before or done, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from aioftps3.embedded import Intercept, faults
from aioftps3.embedded.faults import Rule
from aioftps3.ftp.config import RequireTls, UploadEnd
from tests.support.faults import PART, Scene, fault_scene, push, until
from tests.support.ftp_session import PATIENCE_SECONDS, FtpClient
from tests.support.proxy import Act, Direction, Harm

__all__ = ("run_trial",)

FILES = ("a", "b", "c", "d/x", "d/y", "e f é")
DIRECTORIES = ("m", "d")

IMPATIENT_SECONDS = 0.4
"""Timeouts of trials in which peers stall."""

TRIAL_SECONDS = 40.0
"""No trial takes longer, whatever is done to it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of S3 fault."""

    make: Callable[[Scene, random.Random], Intercept]
    operations: tuple[str, ...]
    loses_answers: bool = False
    """Whether S3 has acted and nobody hears of it."""
    stalls: bool = False


_ALL = (
    "PutObject",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "GetObject",
    "HeadObject",
    "CopyObject",
    "DeleteObject",
)
_ANSWERED = (
    *("PutObject", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload"),
    *("CopyObject", "DeleteObject", "HeadObject"),
)
"""Creation is left out: an upload whose creation was not heard of cannot be aborted (see test_s3_faults.py)."""
_SLOW = ("CompleteMultipartUpload", "CopyObject", "UploadPartCopy")

KINDS: dict[str, Kind] = {
    "500": Kind(lambda *_: faults.internal_error(), (*_ALL, "ListObjectsV2", "ListParts")),
    "503": Kind(lambda *_: faults.slow_down(), (*_ALL, "ListObjectsV2")),
    "409": Kind(lambda *_: faults.conflict(), _ALL),
    "expired": Kind(lambda *_: faults.expired_token(), tuple(set(_ALL) - {"AbortMultipartUpload"})),
    "reset before": Kind(lambda *_: faults.cut_before(), (*_ALL, "ListObjectsV2")),
    "reset inside": Kind(lambda _, dice: faults.cut_intake(dice.randrange(1, PART)), ("PutObject", "UploadPart")),
    "lost answer": Kind(lambda *_: faults.cut_after(), _ANSWERED, loses_answers=True),
    "late answer": Kind(lambda scene, _: scene.gate().after, _ANSWERED, loses_answers=True, stalls=True),
    "stalled intake": Kind(lambda scene, _: scene.gate().intake, _ALL, stalls=True),
    "error in 200": Kind(lambda *_: faults.error_in_success(), _SLOW),
    "error in 200, done": Kind(lambda *_: faults.error_in_success(acted=True), _SLOW, loses_answers=True),
    "broken xml": Kind(lambda *_: faults.broken_document(), _SLOW, loses_answers=True),
    "short body": Kind(lambda _, dice: faults.truncated_body(dice.randrange(4 * PART)), ("GetObject",)),
    "cut body": Kind(lambda _, dice: faults.cut_body(dice.randrange(4 * PART)), ("GetObject",)),
    "stalled body": Kind(
        lambda scene, dice: faults.stalled_body(scene.gate(), dice.randrange(4 * PART)), ("GetObject",), stalls=True
    ),
}

REQUESTS: dict[str, tuple[str, ...]] = {
    "upload": ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload"),
    "append": (
        *("HeadObject", "GetObject", "PutObject", "CreateMultipartUpload", "UploadPartCopy", "UploadPart"),
        *("CompleteMultipartUpload", "AbortMultipartUpload"),
    ),
    "download": ("GetObject",),
    "rename": ("ListObjectsV2", "CopyObject", "DeleteObject"),
    "delete": ("HeadObject", "DeleteObject"),
}
"""What each operation asks of S3 under its own key."""


@dataclass(slots=True)
class Outcome:
    """What became of one operation."""

    code: int
    """The final reply; 0 when the client heard nothing."""
    may_be_done: bool = False
    """Whether it may have been carried out although it was not acknowledged, because of what the client did."""
    hurt: bool = False
    """Whether the client did anything that no good client does."""


@dataclass(slots=True)
class Trial:
    """The state of one trial."""

    seed: int
    dice: random.Random
    scene: Scene
    patient: bool
    proxied: bool
    model: dict[str, bytes | None] = field(default_factory=dict)
    sessions: list[FtpClient] = field(default_factory=list)
    """Clients that nobody uses now."""
    alive: set[FtpClient] = field(default_factory=set)
    story: list[str] = field(default_factory=list)

    # -- drawing -------------------------------------------------------------------------------------------------

    def content(self) -> bytes:
        """A file of a size around the edges that matter, or of any size up to several parts."""
        edges = (0, 1, PART - 1, PART, PART + 1, 2 * PART, 3 * PART)
        size = self.dice.choice(edges) if self.dice.random() < 0.5 else self.dice.randrange(5 * PART)
        return self.dice.randbytes(size)

    def draw_faults(self, operation: str, keys: Sequence[str]) -> list[tuple[Kind, Rule]]:
        """S3 faults for one operation on these keys, planned."""
        if self.dice.random() < 0.4:
            return []
        planned = []
        # With the network's harm, too, an abort could fail as often as it is tried: then parts are left, and rightly.
        requests = [name for name in REQUESTS[operation] if not (self.proxied and name == "AbortMultipartUpload")]
        for _ in range(self.dice.choice((1, 1, 2))):
            request = self.dice.choice(requests)
            fitting = [
                name
                for name, kind in KINDS.items()
                if request in kind.operations and not (kind.stalls and self.patient)
            ]
            name = self.dice.choice(fitting)
            kind = KINDS[name]
            # An abort that S3 refuses for good leaves the parts there: that is S3's doing.
            forever = self.dice.random() < 0.3 and request != "AbortMultipartUpload"
            times = None if forever else self.dice.choice((1, 1, 2))
            at = self.dice.choice((1, 1, 2, 3)) if request == "UploadPart" else 1
            for key in keys:
                rule = self.scene.script.add(kind.make(self.scene, self.dice), request, at=at, times=times, key=key)
                planned.append((kind, rule))
            self.story.append(f"  S3: {name} at {request} {at} x {times} of {keys}")
        return planned

    async def session(self) -> FtpClient:
        """A client nobody uses: one of an earlier step, or a new one."""
        if self.sessions and self.dice.random() < 0.8:
            return self.sessions.pop()
        client = await self.scene.client()
        self.alive.add(client)
        return client

    async def act(self, client: FtpClient, work: Coroutine[Any, Any, None]) -> None:
        """One operation; afterwards the session must be alive and in step, unless its client has left."""
        await work
        if client in self.alive:
            assert (await client.command("NOOP")).code == 200, "the session is out of step"
            self.sessions.append(client)

    # -- one step ------------------------------------------------------------------------------------------------

    async def step(self) -> None:
        """One to three operations at the same time, on different files."""
        names = list(FILES)
        self.dice.shuffle(names)
        acts: list[Coroutine[Any, Any, None]] = []
        for _ in range(self.dice.choice((1, 1, 2, 3))):
            operations = ("upload", "append", "download", "rename", "delete", "other")
            operation = self.dice.choices(operations, (8, 5, 4, 3, 2, 2))[0]
            if operation == "other" and acts:
                continue
            client = await self.session()
            match operation:
                case "upload":
                    work = self.upload(client, names.pop())
                case "append":
                    work = self.append(client, names.pop())
                case "download":
                    work = self.download(client, names.pop())
                case "rename":
                    work = self.rename(client, names.pop(), names.pop())
                case "delete":
                    work = self.delete(client, names.pop())
                case _:
                    work = self.other(client)
            acts.append(self.act(client, work))
            if operation == "other":
                break
        if self.proxied and self.dice.random() < 0.6:
            harm = Harm(
                self.dice.choice((Act.RESET, Act.CLOSE, Act.HALF_CLOSE, *(() if self.patient else (Act.STALL,)))),
                self.dice.choice(list(Direction)),
                self.dice.choice((0, 1, 200, 1000, PART, 2 * PART)),
            )
            self.scene.proxy.plan(harm, None, harm)
            self.story.append(f"  network: {harm}")
        async with asyncio.TaskGroup() as group:
            for act in acts:
                group.create_task(act)
        self.scene.script.clear()
        self.scene.proxy.plan()
        await self.forget_unheard_uploads()
        await self.scene.assert_nothing_is_held()

    async def forget_unheard_uploads(self) -> None:
        """Uploads whose creation nobody heard of, because the network lost the answer: they never have a part."""
        if not self.proxied or not self.scene.proxy.harmed:
            return
        await until(lambda: not self.scene.budget.in_use, "the budget is given back")
        for key, upload_id in self.scene.s3.uploads_in_progress:
            if not (await self.scene.s3_client.list_parts(key, upload_id)).parts:
                await self.scene.s3_client.abort_multipart_upload(key, upload_id)

    def unheard(self, planned: list[tuple[Kind, Rule]]) -> bool:
        """Whether S3 may have acted without anybody hearing of it."""
        return bool(self.proxied and self.scene.proxy.harmed) or any(
            kind.loses_answers and rule.struck for kind, rule in planned
        )

    def untouched(self, planned: list[tuple[Kind, Rule]]) -> bool:
        """Whether nothing at all went wrong for S3."""
        return self.patient and not self.proxied and not any(rule.struck for _, rule in planned)

    def settle(self, name: str, allowed: Sequence[bytes | None], what: str) -> None:
        """Hold one file against what may be there, and believe what is."""
        found = self.scene.content(name)
        described = [None if each is None else len(each) for each in allowed]
        assert found in allowed, f"{what}: {name} has {None if found is None else len(found)} bytes, not {described}"
        self.model[name] = found

    # -- operations ----------------------------------------------------------------------------------------------

    async def upload(self, client: FtpClient, name: str) -> None:
        old, new = self.model.get(name), self.content()
        planned = self.draw_faults("upload", [name])
        outcome = await self.send(client, name, new)
        self.story.append(f"upload {name} {len(new)}: {outcome}")
        if outcome.code == 226:
            self.settle(name, [new], "acknowledged")
            return
        allowed = [old, new] if outcome.may_be_done or self.unheard(planned) else [old]
        self.settle(name, allowed, f"not acknowledged ({outcome.code})")
        assert outcome.hurt or not self.untouched(planned), f"nothing was wrong, and it was answered {outcome.code}"

    async def append(self, client: FtpClient, name: str) -> None:
        """APPE, or STOR behind a REST; either may be refused before it begins."""
        old, new = self.model.get(name), self.content()
        position = None if old is None or self.dice.random() < 0.6 else self.dice.randrange(1, len(old) + 2)
        planned = self.draw_faults("append", [name])
        if position is not None:
            await client.expect(350, f"REST {position}")
        outcome = await self.send(client, name, new, "APPE" if position is None else "STOR")
        self.story.append(f"append to {name} behind {position} {len(new)}: {outcome}")
        done = (old or b"")[:position] + new
        if outcome.code == 226:
            assert position is None or position <= len(old or b""), "behind the end"
            self.settle(name, [done], "acknowledged")
            return
        allowed = [old, done] if outcome.may_be_done or self.unheard(planned) else [old]
        self.settle(name, allowed, f"not acknowledged ({outcome.code})")
        is_wrong = position is not None and position > len(old or b"")
        assert (outcome.code == 554) <= is_wrong
        assert outcome.hurt or is_wrong or not self.untouched(planned), f"nothing was wrong, and it was {outcome.code}"

    async def send(self, client: FtpClient, name: str, content: bytes, verb: str = "STOR") -> Outcome:
        """An upload by a client that may do anything."""
        hurt = self.dice.random() < 0.45
        kinds = ["reset", "abor", "control reset", "killed", "late reset", "late control reset", "late abor", "pieces"]
        if not self.patient:
            kinds.append("stall")
        kind = self.dice.choice(kinds) if hurt else "good"
        sent = self.dice.choice((0, len(content), self.dice.randrange(len(content) + 1)))
        pieces = self.dice.choice((1, 1, 3, 40))
        self.story.append(f"  client: {kind} after {sent}")
        wire = await client.connect_data()
        await client.send(f"{verb} {name}")
        answer = await client.reply()
        if answer.code != 150:
            wire.close()
            assert answer.code in (450, 451, 550, 554), answer
            return Outcome(answer.code)
        await client.encrypt(wire)
        if kind in ("good", "pieces"):
            await push(wire, content, pieces=pieces)
            return await self.final(client)
        late = kind.startswith("late")
        with contextlib.suppress(OSError, ssl.SSLError):
            await wire.send(content if late else content[:sent])
            if late:
                if wire.tls is not None:
                    await wire.close_notify()
                wire.fin()
        match kind:
            case "reset" | "late reset":
                wire.reset()
                # After a good end a reset comes too late, unless it overtakes the end.
                return await self.final(client, hurt=True, may_be_done=late)
            case "abor" | "late abor":
                await client.send("ABOR")
                outcome = await self.final(client, hurt=True, may_be_done=late)
                assert (await client.reply()).code in (225, 226)
                wire.close()
                return outcome
            case "stall":
                outcome = await self.final(client, hurt=True)
                wire.close()
                return outcome
            case _:
                if kind == "killed":
                    wire.close()
                    client.wire.close()
                else:
                    client.wire.reset()
                await self.gone(client)
                wire.close()
                return Outcome(0, hurt=True, may_be_done=late)

    async def final(self, client: FtpClient, *, hurt: bool = False, may_be_done: bool = False) -> Outcome:
        code = (await client.reply()).code
        assert code in (226, 425, 426, 450, 451), code
        return Outcome(code, hurt=hurt, may_be_done=may_be_done)

    async def gone(self, client: FtpClient) -> None:
        """Wait until no session is left of a client that has vanished."""
        self.alive.remove(client)
        await until(lambda: self.scene.server.sessions <= len(self.alive), "its session ends")

    async def download(self, client: FtpClient, name: str) -> None:
        content = self.model.get(name)
        planned = self.draw_faults("download", [name])
        if content is not None and self.dice.random() < 0.3:
            await self.drop_download(client, name, content)
            return
        code, data = await self.scene.fetch(client, f"RETR {name}")
        self.story.append(f"download {name}: {code}, {len(data)} bytes")
        if code == 226:
            assert data == content, f"226 for {len(data)} bytes of {name}"
        else:
            assert (content or b"").startswith(data), "other bytes than the file's"
            assert content is None or not self.untouched(planned), f"nothing was wrong, and it was answered {code}"

    async def drop_download(self, client: FtpClient, name: str, content: bytes) -> None:
        """A download by a client that goes away in the middle, or says ABOR."""
        how = self.dice.choice(("reset", "close", "abor"))
        wire = await client.connect_data(receive_buffer=4096)
        await client.send(f"RETR {name}")
        if (await client.reply()).code != 150:
            wire.close()
            return
        data = b""
        with contextlib.suppress(OSError, ssl.SSLError):
            await client.encrypt(wire)
            data = await wire.receive(1000)
        if how == "abor":
            await client.send("ABOR")
            with contextlib.suppress(OSError, ssl.SSLError):
                data += await wire.receive_all()
        else:
            getattr(wire, how)()
        code = (await client.reply()).code
        if how == "abor":
            assert (await client.reply()).code == 226
        wire.close()
        self.story.append(f"download {name}, {how}: {code}, {len(data)} bytes")
        assert code in (226, 426, 451)
        assert content.startswith(data)

    async def rename(self, client: FtpClient, source: str, target: str) -> None:
        moved, replaced = self.model.get(source), self.model.get(target)
        planned = self.draw_faults("rename", [source, target])
        answer = await client.command(f"RNFR {source}")
        if answer.code == 350:
            answer = await client.command(f"RNTO {target}")
        self.story.append(f"rename {source} to {target}: {answer.code}")
        if answer.code == 250:
            assert moved is not None
            self.settle(source, [None], "renamed")
            self.settle(target, [moved], "renamed")
            return
        self.settle(target, [replaced, moved] if moved is not None else [replaced], "not renamed")
        deleted = self.unheard(planned) and moved is not None and self.model[target] == moved
        self.settle(source, [moved, None] if deleted else [moved], "not renamed")
        assert moved is None or not self.untouched(planned), f"nothing was wrong, and it was answered {answer.code}"

    async def delete(self, client: FtpClient, name: str) -> None:
        old = self.model.get(name)
        planned = self.draw_faults("delete", [name])
        code = (await client.command(f"DELE {name}")).code
        self.story.append(f"delete {name}: {code}")
        if code == 250:
            self.settle(name, [None], "deleted")
            return
        self.settle(name, [old, None] if self.unheard(planned) else [old], f"not deleted ({code})")
        assert old is None or not self.untouched(planned), f"nothing was wrong, and it was answered {code}"

    async def other(self, client: FtpClient) -> None:
        """A listing, or a directory made or removed; alone in its step."""
        rule: Rule | None = None
        kind = KINDS["500"]
        if self.dice.random() < 0.5:
            kind = KINDS[self.dice.choice(("500", "503", "reset before"))]
            times = self.dice.choice((1, None))
            rule = self.scene.script.add(kind.make(self.scene, self.dice), at=self.dice.choice((1, 2)), times=times)
        planned = [] if rule is None else [(kind, rule)]
        name = self.dice.choice(DIRECTORIES)
        line = self.dice.choice(("NLST", f"NLST {name}", f"MKD {name}", f"RMD {name}"))
        before = {f"{each}/": self.scene.content(f"{each}/") for each in DIRECTORIES}
        if line.startswith("NLST"):
            code, data = await self.scene.fetch(client, line)
            if code == 226:
                prefix = "" if line == "NLST" else f"{name}/"
                listed = {prefix + each for each in data.decode().split("\r\n")} & set(FILES)
                there = {each for each in FILES if self.model.get(each) is not None}
                assert listed == {each for each in there if each.startswith(prefix) and "/" not in each[len(prefix) :]}
        else:
            code = (await client.command(line)).code
            made = line.startswith("MKD")
            after: bytes | None = b"" if made else None
            marker = f"{name}/"
            done = [after]
            allowed = done if code in (250, 257) else [before[marker], *(done if self.unheard(planned) else [])]
            self.settle(marker, allowed, line)
        self.story.append(f"{line}: {code}")
        assert code in (226, 250, 257, 450, 451, 550)
        assert code not in (450, 451) or not self.untouched(planned)


async def run_trial(seed: int) -> None:
    """Run the trial of a seed. Raises AssertionError with its story."""
    dice = random.Random(seed)
    patient = dice.random() < 0.8
    proxied = dice.random() < 0.3
    seconds = PATIENCE_SECONDS if patient else IMPATIENT_SECONDS
    tls = dice.random() < 0.7
    story: list[str] = []
    try:
        async with (
            asyncio.timeout(TRIAL_SECONDS),
            fault_scene(
                parts_in_budget=dice.choice((1, 2, 4, 16)),
                parts_in_flight=dice.choice((1, 2, 4)),
                download_streams=dice.choice((1, 4)),
                through_proxy=proxied,
                read_timeout=seconds,
                require_tls=RequireTls.CONTROL_AND_DATA if tls else RequireTls.NONE,
                stall_timeout=seconds,
                upload_end=dice.choice((UploadEnd.GUARDED, UploadEnd.STRICT)) if tls else UploadEnd.GUARDED,
            ) as scene,
        ):
            trial = Trial(seed, dice, scene, patient, proxied, story=story)
            for name in dice.sample(FILES, 3):
                trial.model[name] = trial.content()
                scene.s3.put(name, trial.model[name] or b"")
            for _ in range(dice.randrange(3, 7)):
                await trial.step()
    except BaseException as error:
        error.add_note(f"trial of seed {seed} (run it again with --seed {seed}), patient={patient}, proxied={proxied}:")
        error.add_note("\n".join(story))
        raise
