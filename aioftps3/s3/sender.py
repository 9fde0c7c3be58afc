"""Signs requests, sends them, turns answers into values or errors, and repeats what may be repeated.

Three faults are mended once in a call, without counting as a retry, because the answer says what was wrong:

- the clock: S3's time in the answer gives the offset that all later signatures use;
- the region: S3 names the right one, and it is remembered;
- the credentials: the provider is asked for newer ones.
"""

import asyncio
import base64
import contextlib
import hashlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, Self, TypeVar

from aioftps3.s3 import errors, responses, sigv4, uri
from aioftps3.s3.credentials import Credentials, CredentialsProvider
from aioftps3.s3.models import EMPTY_SHA256, Body, Endpoint, Observer, RequestEvent
from aioftps3.s3.retry import RetryPolicy
from aioftps3.s3.transport import Request, Response, Transport

log = logging.getLogger(__name__)

SKEW_WORTH_MENDING_SECONDS = 240.0
"""S3 tolerates 15 minutes; a smaller difference than this cannot be why it refused."""

SKEW_LIMIT_SECONDS = 900.0
"""S3 refuses requests whose time is further off than this."""

ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
"""Longest answer that is read into memory. A listing of 1000 keys of 1024 bytes, percent-encoded, takes 3.5 MB."""

ERROR_LIMIT_BYTES = 256 * 1024
"""Longest error document that is read."""

SLOW_READ_TIMEOUT_SECONDS = 300.0
"""Complete and copies may be silent for minutes while S3 puts an object together."""

SLOW_ATTEMPT_SECONDS = 900.0
"""Longest that such an answer may take in all: S3 keeps it alive with white space, which would count as progress."""

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def is_good(self) -> bool:
        """Whether the status says that it went well."""
        return 200 <= self.status < 300


def nothing(_: Answer) -> None:
    """Parse an answer of which only the status matters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One S3 operation, before it is signed."""

    operation: str
    method: str
    parse: Callable[[Answer], T]
    """Reads the answer; raises S3ProtocolError when it is not S3's."""
    key: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: Body | None = None
    is_document: bool = False
    """The body is a small XML document; it is always hashed for the signature."""
    digest_md5: bool = False
    """Send Content-MD5, where S3 insists on a checksum."""
    idempotent: bool = True
    """Doing it twice is the same as doing it once."""
    explain: Callable[[], Awaitable[object]] | None = None
    """Asks S3 for something else that the same credentials may have, to be refused with a reason: the answer to HEAD
    has no body."""
    slow: bool = False
    """S3 may take minutes, and may answer 200 before it knows that it failed."""


@dataclass(frozen=True, slots=True)
class _Basis:
    """What an attempt was signed with; other calls may have mended it since."""

    endpoint: Endpoint
    clock_offset: float
    credentials: Credentials


class RequestSender:
    """Sends calls to one bucket."""

    def __init__(
        self,
        transport: Transport,
        endpoint: Endpoint,
        credentials: CredentialsProvider,
        *,
        retry: RetryPolicy,
        clock: Callable[[], float] = time.time,
        observer: Observer | None = None,
        sign_payload: bool | None = None,
    ) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._credentials = credentials
        self._retry = retry
        self._clock = clock
        self._clock_offset = 0.0
        self._observer = observer
        self._sign_payload = endpoint.scheme == "http" if sign_payload is None else sign_payload
        self._keys = sigv4.SigningKeys()

    @property
    def endpoint(self) -> Endpoint:
        """The bucket's endpoint, in the region that S3 last named."""
        return self._endpoint

    @property
    def signs_payload(self) -> bool:
        """Whether bodies are hashed for the signature."""
        return self._sign_payload

    async def call(self, call: Call[T]) -> T:
        """Send until it succeeds or must fail; give what `call.parse` makes of the answer.

        Raises:
            S3Error: the last attempt's error.
        """

        async def attempt(basis: _Basis, report: _Report) -> T:
            return await self._attempt_whole(call, basis, report)

        return await self._repeated(call, attempt)

    async def open(self, call: Call[T]) -> tuple[Response, T]:
        """Send until the headers of a good answer are there; give the response, whose body is still to come, and what
        `call.parse` makes of its headers. The caller closes the response.

        Raises:
            S3Error: the last attempt's error.
        """

        async def attempt(basis: _Basis, report: _Report) -> tuple[Response, T]:
            return await self._attempt_open(call, basis, report)

        return await self._repeated(call, attempt)

    async def close(self) -> None:
        """Close the transport."""
        await self._transport.close()

    async def _repeated(self, call: Call[T], attempt: Callable[[_Basis, "_Report"], Awaitable[U]]) -> U:
        started = time.monotonic()
        mended: set[type[errors.S3Error]] = set()
        number = failures = 0
        may_have_acted = False
        try:
            while True:
                number += 1
                basis = await self._basis()
                with _Report(self._observer, call, number) as report:
                    try:
                        return await attempt(basis, report)
                    except errors.S3Error as error:
                        report.stop()
                        may_have_acted = may_have_acted or error.may_have_acted
                        if type(error) not in mended:
                            mended.add(type(error))
                            if await self._mend(call, error, basis):
                                report.failed(error, retry_in=0.0)
                                continue
                        failures += 1
                        delay = self._retry.delay(
                            error,
                            attempt=failures,
                            elapsed=time.monotonic() - started,
                            idempotent=call.idempotent,
                            jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
                            slow=call.slow,
                        )
                        if delay is None:
                            raise
                        report.failed(error, retry_in=delay)
                await asyncio.sleep(delay)
        except errors.S3Error as error:
            error.may_have_acted = may_have_acted  # by any of the attempts
            raise

    async def _basis(self) -> _Basis:
        return _Basis(self._endpoint, self._clock_offset, await self._credentials.credentials())

    async def _attempt_whole(self, call: Call[T], basis: _Basis, report: "_Report") -> T:
        try:
            async with asyncio.timeout(SLOW_ATTEMPT_SECONDS if call.slow else None):
                answer = await self._answer(call, basis, report)
        except TimeoutError as error:
            raise errors.RequestTimedOut("S3 did not come to an end in time", may_have_acted=True) from error
        if not answer.is_good:
            raise self._error(call, answer, basis)
        if call.slow:
            fault = responses.error_in_success(answer.status, answer.headers, answer.body, operation=call.operation)
            if fault is not None:
                raise fault
        return call.parse(answer)

    async def _answer(self, call: Call[T], basis: _Basis, report: "_Report") -> Answer:
        response = await self._send(call, basis)
        try:
            report.status = response.status
            report.headers = response.headers
            good = 200 <= response.status < 300
            body = await response.read(ANSWER_LIMIT_BYTES if good else ERROR_LIMIT_BYTES)
        finally:
            await response.close()
        return Answer(response.status, response.headers, body)

    async def _attempt_open(self, call: Call[T], basis: _Basis, report: "_Report") -> tuple[Response, T]:
        response = await self._send(call, basis)
        opened = False
        try:
            report.status = response.status
            report.headers = response.headers
            if not 200 <= response.status < 300:
                body = await response.read(ERROR_LIMIT_BYTES)
                raise self._error(call, Answer(response.status, response.headers, body), basis)
            result = call.parse(Answer(response.status, response.headers, b""))
            opened = True
            return response, result
        finally:
            if not opened:
                await response.close()

    async def _send(self, call: Call[T], basis: _Basis) -> Response:
        endpoint = basis.endpoint
        path = endpoint.path(call.key)
        query = uri.encode_query(call.query)
        headers = [("Host", endpoint.authority), *call.headers]
        if call.digest_md5 and call.body is not None:
            digest = hashlib.md5(usedforsecurity=False)
            for piece in call.body.chunks():
                digest.update(piece)
            headers.append(("Content-MD5", base64.b64encode(digest.digest()).decode()))
        signed = sigv4.sign(
            call.method,
            path,
            call.query,
            headers,
            payload_hash=self._payload_hash(call),
            access_key=basis.credentials.access_key,
            secret_key=basis.credentials.secret_key,
            session_token=basis.credentials.session_token,
            region=endpoint.region,
            now=datetime.fromtimestamp(self._clock() + basis.clock_offset, UTC),
            keys=self._keys,
        )
        request = Request(
            method=call.method,
            scheme=endpoint.scheme,
            authority=endpoint.authority,
            target=f"{path}?{query}" if query else path,
            # Not signed: some stores' front ends change it on the way.
            headers=(*signed, ("Accept-Encoding", "identity")),
            read_timeout=SLOW_READ_TIMEOUT_SECONDS if call.slow else None,
        )
        return await self._transport.send(request, call.body)

    def _payload_hash(self, call: Call[T]) -> str:
        body = call.body
        if body is None or body.length == 0:
            return EMPTY_SHA256
        if self._sign_payload or call.is_document:
            return body.sha256
        return sigv4.UNSIGNED_PAYLOAD

    def _error(self, call: Call[T], answer: Answer, basis: _Basis) -> errors.S3ResponseError:
        error = responses.error_from_response(
            answer.status, answer.headers, answer.body, operation=call.operation, about_bucket=call.key is None
        )
        if isinstance(error, errors.AccessDenied) and not error.code and self._skew(error, basis) > SKEW_LIMIT_SECONDS:
            # HEAD has no body to tell a wrong clock from a missing permission.
            return errors.ClockSkew(
                "",
                error.status,
                operation=error.operation,
                request_id=error.request_id,
                host_id=error.host_id,
                server_time=error.server_time,
            )
        return error

    def _skew(self, error: errors.S3ResponseError, basis: _Basis) -> float:
        """Seconds between S3's clock and the one that the attempt was signed with; 0 when S3 has not said its time."""
        if error.server_time is None:
            return 0.0
        return abs(error.server_time - (self._clock() + basis.clock_offset))

    async def _mend(self, call: Call[T], error: errors.S3Error, basis: _Basis) -> bool:
        """Remove the cause of an error, unless another call has just done it; say whether it is gone.

        Raises:
            S3Error: another error is nearer to the cause.
        """
        match error:
            case errors.ClockSkew():
                return self._mend_clock(error, basis)
            case errors.WrongRegion():
                return self._mend_region(error, basis)
            case errors.CredentialsRejected():
                return await self._credentials.credentials() != basis.credentials or await self._credentials.refresh()
            case errors.S3ResponseError(code="", status=400 | 403) if call.explain is not None:
                # Only a refusal for another reason says more; what can be mended has been, when it returns.
                with contextlib.suppress(errors.AccessDenied):
                    await call.explain()
                return await self._basis() != basis
            case _:
                return False

    def _mend_clock(self, error: errors.ClockSkew, basis: _Basis) -> bool:
        if error.server_time is None or self._skew(error, basis) <= SKEW_WORTH_MENDING_SECONDS:
            return False
        offset = error.server_time - self._clock()
        if self._clock_offset == basis.clock_offset:
            self._clock_offset = offset
            log.warning("this machine's clock is %.0f s behind S3's; signing with S3's time", offset)
        return True

    def _mend_region(self, error: errors.WrongRegion, basis: _Basis) -> bool:
        if error.region is None or error.region == basis.endpoint.region:
            return False
        try:
            uri.check_region(error.region)
        except errors.RequestInvalid:
            return False
        if self._endpoint.region == basis.endpoint.region:
            self._endpoint = basis.endpoint.in_region(error.region)
            log.warning("the bucket is in region %s, not %s", error.region, basis.endpoint.region)
        return True


class _Report:
    """Tells the observer of one attempt when the block ends, whichever way it ends."""

    def __init__(self, observer: Observer | None, call: Call[T], attempt: int) -> None:
        self._observer = observer
        self._operation = call.operation
        self._key = call.key
        self._bytes_sent = 0 if call.body is None else call.body.length
        self._attempt = attempt
        self._started = time.monotonic()
        self._seconds: float | None = None
        self._error: BaseException | None = None
        self._retry_in: float | None = None
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}

    def stop(self) -> None:
        """End the attempt's time."""
        self._seconds = time.monotonic() - self._started

    def failed(self, error: errors.S3Error, *, retry_in: float) -> None:
        """It has failed, and will be repeated."""
        self._error = error
        self._retry_in = retry_in

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: object) -> None:
        if self._observer is None:
            return
        if self._seconds is None:
            self.stop()
        error = error or self._error
        self._observer(
            RequestEvent(
                operation=self._operation,
                key=self._key,
                attempt=self._attempt,
                status=self.status,
                error=None if error is None else type(error).__name__,
                code=error.code if isinstance(error, errors.S3ResponseError) else None,
                request_id=self.headers.get("x-amz-request-id"),
                seconds=self._seconds or 0.0,
                bytes_sent=self._bytes_sent,
                retry_in=self._retry_in,
            )
        )
