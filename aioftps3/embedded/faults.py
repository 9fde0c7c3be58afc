"""Scripted faults: what S3 and the network in front of it do wrong, at chosen requests.

A fault is an `Intercept`: it stands between a verified request and its handler. `FaultScript` is the intercept that
picks the fault by operation, key and occurrence::

    s3.intercept = script = FaultScript()
    script.add(internal_error(), "UploadPart", at=2)
    script.add(cut_after(), "CompleteMultipartUpload", times=None)

Nothing here sleeps: what is slow waits at a `Gate` until it is opened.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING

from aioftps3.embedded.answers import Answer, error_answer
from aioftps3.embedded.errors import ConnectionCut, Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from aioftps3.embedded.answers import BodyStream
    from aioftps3.embedded.server import Intercept, Proceed
    from aioftps3.embedded.wire import Call

    Ending = Callable[[], Awaitable[None]]

__all__ = (
    "FaultScript",
    "Gate",
    "Rule",
    "broken_document",
    "clock_skew",
    "conflict",
    "cut_after",
    "cut_before",
    "cut_body",
    "cut_intake",
    "error_in_success",
    "expired_token",
    "internal_error",
    "refused",
    "slow_down",
    "stalled_body",
    "truncated_body",
    "wrong_region",
)

KEEP_ALIVE_BLANKS = b"\n" * 8
"""What S3 sends while it puts an object together, before it knows how that ends."""

_BROKEN = b'<?xml version="1.0" encoding="UTF-8"?>\n<Res'


@dataclass(slots=True, kw_only=True)
class Rule:
    """One fault and the requests that it strikes: from the ``at``-th that fits on (counted from 1), ``times`` ones."""

    fault: Intercept
    operations: tuple[str, ...]
    """Operations that fit; empty for all."""
    at: int
    times: int | None
    """None: every one from then on."""
    key: str | None
    seen: int = 0
    """Requests that fitted."""
    struck: int = 0
    """Requests that the fault was given to."""

    def strikes(self, call: Call) -> bool:
        """Count the request if it fits; say whether the fault is for it."""
        if (self.operations and call.operation not in self.operations) or self.key not in (None, call.key):
            return False
        self.seen += 1
        if self.seen < self.at or (self.times is not None and self.seen >= self.at + self.times):
            return False
        self.struck += 1
        return True


class FaultScript:
    """An intercept that gives each request to the first rule that strikes it; every rule counts the request."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def add(
        self, fault: Intercept, *operations: str, at: int = 1, times: int | None = 1, key: str | None = None
    ) -> Rule:
        """Plan a fault; see Rule."""
        rule = Rule(fault=fault, operations=operations, at=at, times=times, key=key)
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget all rules; requests that are at a fault already stay there."""
        self.rules.clear()

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        striking = [rule for rule in self.rules if rule.strikes(call)]
        return await (striking[0].fault(call, proceed) if striking else proceed())


@dataclass(slots=True)
class Gate:
    """Where requests wait. `before`, `after` and `intake` are faults."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a request has come to the gate."""
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        """Let everybody pass, also those who come later."""
        self.opened.set()

    async def wait(self) -> None:
        """Stand at the gate."""
        self.reached.set()
        await self.opened.wait()

    async def before(self, _call: Call, proceed: Proceed) -> Answer:
        """Wait before acting, the request's body unread: a sender with more than the sockets hold stalls."""
        await self.wait()
        return await proceed()

    async def after(self, _call: Call, proceed: Proceed) -> Answer:
        """Act, and wait with the answer."""
        answer = await proceed()
        await self.wait()
        return answer

    async def intake(self, call: Call, _proceed: Proceed) -> Answer:
        """Read a little of the body, wait, and then drop the connection without having acted."""
        await call.body.read()
        await self.wait()
        raise ConnectionCut


# -- answers that refuse -------------------------------------------------------------------------------------------


def refused(refusal: Refusal) -> Intercept:
    """Answer with an error document, without acting."""

    async def fault(call: Call, _proceed: Proceed) -> Answer:
        return error_answer(refusal, resource=call.wire.path, request_id=call.request_id)

    return fault


def internal_error() -> Intercept:
    """500."""
    return refused(Refusal("InternalError", 500, "We encountered an internal error. Please try again."))


def slow_down(retry_after: float = 0) -> Intercept:
    """503, with the seconds that S3 wants to be left alone, whole ones."""
    headers = {"Retry-After": f"{retry_after:.0f}"}
    return refused(Refusal("SlowDown", 503, "Please reduce your request rate.", headers=headers))


def conflict(code: str = "ConditionalRequestConflict") -> Intercept:
    """409: somebody else is changing the same object; also with OperationAborted."""
    return refused(Refusal(code, 409, "A conflicting conditional operation is currently in progress."))


def clock_skew(server_time: float) -> Intercept:
    """403 of a server whose clock shows ``server_time``, seconds since the epoch."""
    message = "The difference between the request time and the current time is too large."
    headers = {"Date": formatdate(server_time, usegmt=True)}
    return refused(Refusal("RequestTimeTooSkewed", 403, message, headers=headers))


def wrong_region(region: str) -> Intercept:
    """400 that names the region to sign for."""
    message = f"The authorization header is malformed; the region is wrong; expecting '{region}'"
    return refused(Refusal("AuthorizationHeaderMalformed", 400, message, details={"Region": region}))


def expired_token() -> Intercept:
    """400: the session token is too old."""
    return refused(Refusal("ExpiredToken", 400, "The provided token has expired."))


# -- answers that lie or break -------------------------------------------------------------------------------------


def error_in_success(code: str = "InternalError", *, acted: bool = False) -> Intercept:
    """200, blanks, and then an error document, as Complete and Copy may end; with ``acted`` the work was done."""

    async def fault(call: Call, proceed: Proceed) -> Answer:
        if acted:
            await proceed()
        else:
            await _drained(call)
        refusal = Refusal(code, 200, "We encountered an internal error. Please try again.")
        answer = error_answer(refusal, resource=call.wire.path, request_id=call.request_id)
        if isinstance(answer.body, bytes):
            answer.body = KEEP_ALIVE_BLANKS + answer.body
        return answer

    return fault


def broken_document(document: bytes = _BROKEN) -> Intercept:
    """Act, and answer with the right status and a document that nobody can read."""

    async def fault(_call: Call, proceed: Proceed) -> Answer:
        answer = await proceed()
        answer.body, answer.length = document, None
        return answer

    return fault


def truncated_body(size: int) -> Intercept:
    """Act, and end the answer's body after ``size`` bytes in order, although more were announced."""

    async def fault(_call: Call, proceed: Proceed) -> Answer:
        return _rewritten(await proceed(), size, None)

    return fault


def cut_body(size: int) -> Intercept:
    """Act, and reset the connection after ``size`` bytes of the answer's body."""

    async def cut() -> None:
        raise ConnectionCut

    async def fault(_call: Call, proceed: Proceed) -> Answer:
        return _rewritten(await proceed(), size, cut)

    return fault


def stalled_body(gate: Gate, size: int) -> Intercept:
    """Act, and stop after ``size`` bytes of the answer's body until the gate opens; then the connection is dropped."""

    async def stall() -> None:
        await gate.wait()
        raise ConnectionCut

    async def fault(_call: Call, proceed: Proceed) -> Answer:
        return _rewritten(await proceed(), size, stall)

    return fault


# -- connections that are lost -------------------------------------------------------------------------------------


def cut_before() -> Intercept:
    """Reset the connection when the head of the request is here, without acting."""

    async def fault(_call: Call, _proceed: Proceed) -> Answer:
        raise ConnectionCut

    return fault


def cut_intake(size: int) -> Intercept:
    """Reset the connection when ``size`` bytes of the request's body have been read, or all; without acting."""

    async def fault(call: Call, _proceed: Proceed) -> Answer:
        read = 0
        while read < size and (data := await call.body.read()):
            read += len(data)
        raise ConnectionCut

    return fault


def cut_after() -> Intercept:
    """Act, and reset the connection instead of answering: the answer is lost."""

    async def fault(_call: Call, proceed: Proceed) -> Answer:
        await proceed()
        raise ConnectionCut

    return fault


async def _drained(call: Call) -> None:
    while await call.body.read():
        pass


def _rewritten(answer: Answer, size: int, then: Ending | None) -> Answer:
    """The answer with another body, and the length that was announced for the old one."""
    if answer.length is None and isinstance(answer.body, bytes):
        answer.length = len(answer.body)
    answer.body = _ended_early(answer.body, size, then)
    return answer


async def _ended_early(body: bytes | BodyStream, size: int, then: Ending | None) -> AsyncGenerator[bytes, None]:
    left = size
    async with aclosing(_pieces(body)) as pieces:
        async for piece in pieces:
            if left > 0:
                yield piece[:left]
            left -= len(piece)
            if left <= 0:
                break
    if then is not None:
        await then()


async def _pieces(body: bytes | BodyStream) -> AsyncGenerator[bytes, None]:
    if isinstance(body, bytes):
        yield body
        return
    async for piece in body:
        yield piece
