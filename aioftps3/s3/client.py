"""`S3Client`: one method for each operation of S3 that a gateway needs, on one bucket.

Every method raises `S3Error` (see `errors`) and nothing else on purpose. Requests are repeated as `retry` says; what
may be repeated is decided here, operation by operation.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from aioftps3.s3 import checksums, requests, responses, xml
from aioftps3.s3.checksums import Algorithm, Verification
from aioftps3.s3.credentials import CredentialsProvider
from aioftps3.s3.errors import DeleteFailed, RequestInvalid
from aioftps3.s3.getobject import GetObject, opened_object
from aioftps3.s3.models import (
    WRITE_ID_METADATA,
    Body,
    BytesBody,
    Endpoint,
    ListPage,
    ObjectInfo,
    Observer,
    UploadResult,
)
from aioftps3.s3.multipart import MultipartOperations
from aioftps3.s3.retry import RetryPolicy
from aioftps3.s3.sender import Call, RequestSender, nothing
from aioftps3.s3.transport import Transport

KEYS_PER_REQUEST = 1000
"""Most keys in one ListObjectsV2 answer or DeleteObjects request."""


class S3Client(MultipartOperations):
    """Operations on one bucket."""

    def __init__(
        self,
        transport: Transport,
        endpoint: Endpoint,
        credentials: CredentialsProvider,
        *,
        retry: RetryPolicy | None = None,
        clock: Callable[[], float] = time.time,
        observer: Observer | None = None,
        sign_payload: bool | None = None,
        checksum: Algorithm | None = None,
    ) -> None:
        """`sign_payload` None: bodies are hashed for the signature on http, and not on https, where TLS protects them.

        `checksum` is sent with every object and part, and asked for and verified when whole objects are read; see
        `checksums.chosen_algorithm` for what an endpoint takes.

        `clock` gives seconds since the epoch. `observer` is told of every attempt.
        """
        sender = RequestSender(
            transport,
            endpoint,
            credentials,
            retry=RetryPolicy() if retry is None else retry,
            clock=clock,
            observer=observer,
            sign_payload=sign_payload,
        )
        super().__init__(sender, checksum)

    @property
    def checksum(self) -> Algorithm | None:
        """The checksum that bodies will be asked for."""
        return self._checksum

    @property
    def endpoint(self) -> Endpoint:
        """The bucket's endpoint, in the region that S3 last named."""
        return self._sender.endpoint

    @property
    def signs_payload(self) -> bool:
        """Whether a body's `sha256` will be asked for."""
        return self._sender.signs_payload

    async def close(self) -> None:
        """Close the transport. Idempotent."""
        await self._sender.close()

    async def head_bucket(self) -> None:
        """See that the bucket is there and may be used.

        Raises:
            NoSuchBucket, AccessDenied, CredentialsRejected, ...
        """
        await self._sender.call(Call(operation="HeadBucket", method="HEAD", parse=nothing))

    async def head_object(self, key: str, *, if_match: str | None = None, checksum: bool = False) -> ObjectInfo:
        """Ask for an object's size, ETag, time and metadata; with `checksum` for what S3 keeps of that, too, if the
        client has one that S3 keeps: stores without checksums may refuse the question. ListObjectsV2, too, when it is
        refused: whether that is for good, or the credentials are.

        Raises:
            NoSuchKey: there is none.
            PreconditionFailed: its ETag is not `if_match`.
        """
        return await self._sender.call(
            Call(
                operation="HeadObject",
                method="HEAD",
                key=key,
                headers=(*requests.conditions(if_match=if_match), *(self._checksum_wanted if checksum else ())),
                explain=partial(self.list_objects, prefix=key, max_keys=1),
                parse=lambda answer: responses.object_info(key, answer.headers),
            )
        )

    async def get_object(
        self,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        if_match: str | None = None,
        verification: Verification | None = None,
    ) -> GetObject:
        """Open an object's content from byte `offset` on, `length` bytes of it or as many as there are.

        A whole object is verified if the client has a checksum and S3 has one of the whole content. `verification` is
        that of a stream which broke at `offset`, and goes on with this one.

        Raises:
            NoSuchKey: there is none.
            InvalidRange: `offset` is at or behind its end (and not 0).
            PreconditionFailed: its ETag is not `if_match`.
            ArchivedObject: it must be restored first.
        """
        if offset < 0 or (length is not None and length < 1):
            raise RequestInvalid("a range has no negative offset and is not empty")
        headers = requests.conditions(if_match=if_match)
        if offset or length is not None:
            last = "" if length is None else str(offset + length - 1)
            headers = (*headers, ("Range", f"bytes={offset}-{last}"))
        else:
            headers = (*headers, *self._checksum_wanted)
        response, (info, expected) = await self._sender.open(
            Call(
                operation="GetObject",
                method="GET",
                key=key,
                headers=headers,
                parse=lambda answer: opened_object(key, answer, offset, length),
            )
        )
        if verification is None:
            if not offset and length is None and self._checksum is not None:
                verification = checksums.verification_of(info.checksum, info.size)
        elif verification.position != offset:
            verification = None
        return GetObject(response, info, offset, expected, verification)

    async def put_object(
        self,
        key: str,
        body: Body,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        headers: requests.Pairs = (),
        if_none_match: str | None = None,
        if_match: str | None = None,
    ) -> UploadResult:
        """Write an object in one request; at most 5 GB. `headers` say what else is kept with the object, see
        `requests.likeness`. `if_none_match="*"`: only if there is none yet.

        A conditional write whose answer was lost is repeated only when `metadata` holds a write token, by which the
        caller can tell whether a PreconditionFailed was caused by its own first attempt.

        Raises:
            PreconditionFailed: a condition does not hold.
            TooLarge, KeyInvalid, QuotaExceeded, StorageFull, ...
        """
        conditions = requests.conditions(if_match=if_match, if_none_match=if_none_match)
        etag = await self._sender.call(
            Call(
                operation="PutObject",
                method="PUT",
                key=key,
                headers=(
                    *conditions,
                    *requests.description(content_type, metadata),
                    *headers,
                    *requests.protection(body, self._checksum),
                ),
                body=body,
                idempotent=not conditions or WRITE_ID_METADATA in (metadata or {}),
                parse=lambda answer: responses.etag(answer.headers),
            )
        )
        return UploadResult(etag=etag, size=body.length)

    async def delete_object(self, key: str, *, if_match: str | None = None) -> None:
        """Delete an object; it is no error when there is none.

        Raises:
            PreconditionFailed: its ETag is not `if_match`.
        """
        conditions = requests.conditions(if_match=if_match)
        await self._sender.call(
            Call(
                operation="DeleteObject",
                method="DELETE",
                key=key,
                headers=conditions,
                idempotent=not conditions,
                parse=nothing,
            )
        )

    async def delete_objects(self, keys: Sequence[str]) -> None:
        """Delete any number of objects, 1000 a request; keys that XML cannot hold take a request each.

        Raises:
            DeleteFailed: some could not be deleted; all others of the same request are gone, later ones were not tried.
        """
        plain = [key for key in keys if xml.can_hold(key)]
        for start in range(0, len(plain), KEYS_PER_REQUEST):
            failures = await self._sender.call(
                Call(
                    operation="DeleteObjects",
                    method="POST",
                    query=(("delete", ""),),
                    body=BytesBody(xml.delete_request(plain[start : start + KEYS_PER_REQUEST])),
                    is_document=True,
                    digest_md5=True,
                    parse=lambda answer: xml.parse_delete_result(answer.body),
                )
            )
            if failures:
                raise DeleteFailed(failures)
        for key in keys:
            if not xml.can_hold(key):
                await self.delete_object(key)

    async def copy_object(
        self,
        source_key: str,
        key: str,
        *,
        source_if_match: str | None = None,
        if_none_match: str | None = None,
        if_match: str | None = None,
        replaced: requests.Pairs | None = None,
        storage_class: str | None = None,
        provable: bool = False,
    ) -> str:
        """Copy an object of at most 5 GB inside the bucket, and give the new ETag.

        Metadata, content type and content headers are kept, or all replaced by those of `replaced`; tags are kept. The
        storage class is S3's default unless one is given. A copy with a condition on its target is repeated after a
        lost answer only when it is `provable`: the caller finds out whether a PreconditionFailed was caused by its own
        attempt.

        Raises:
            NoSuchKey: there is no source.
            PreconditionFailed: the source's ETag is not `source_if_match`, or the target's not `if_match`, or the
                target exists and must not.
        """
        conditions = requests.conditions(if_match=if_match, if_none_match=if_none_match)
        headers = (
            ("x-amz-copy-source", self._copy_source(source_key)),
            *conditions,
            *requests.conditions(source_if_match=source_if_match),
            *requests.in_storage_class(storage_class),
        )
        if replaced is not None:
            headers = (*headers, ("x-amz-metadata-directive", "REPLACE"), *replaced)
        return await self._sender.call(
            Call(
                operation="CopyObject",
                method="PUT",
                key=key,
                headers=headers,
                body=BytesBody(b""),
                idempotent=provable or not conditions,
                slow=True,
                parse=lambda answer: xml.parse_copy_result(answer.body),
            )
        )

    async def get_object_tagging(self, key: str) -> dict[str, str]:
        """Ask for an object's tags.

        Raises:
            NoSuchKey: there is no such object.
        """
        return await self._sender.call(
            Call(
                operation="GetObjectTagging",
                method="GET",
                key=key,
                query=(("tagging", ""),),
                parse=lambda answer: xml.parse_tags(answer.body),
            )
        )

    async def list_objects(
        self,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        max_keys: int = KEYS_PER_REQUEST,
        token: str | None = None,
        start_after: str | None = None,
    ) -> ListPage:
        """Get one page of the keys that begin with `prefix`, in the order of their UTF-8 bytes; at most 1000.

        With a delimiter, keys that have it behind the prefix are rolled up into `prefixes`. `token` continues after
        the page that gave it.
        """
        query = requests.query(
            ("list-type", "2"),
            ("encoding-type", "url"),
            ("max-keys", str(max_keys)),
            prefix=prefix or None,
            delimiter=delimiter,
            continuation_token=token,
            start_after=start_after,
        )
        return await self._sender.call(
            Call(
                operation="ListObjectsV2",
                method="GET",
                query=query,
                parse=lambda answer: xml.parse_list_page(answer.body),
            )
        )

    @property
    def _checksum_wanted(self) -> requests.Pairs:
        return (("x-amz-checksum-mode", "ENABLED"),) if self._checksum is not None and self._checksum.is_kept else ()
