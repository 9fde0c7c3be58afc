"""The operations of S3 on multipart uploads; `S3Client` has them, too.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from collections.abc import Mapping, Sequence

from aioftps3.s3 import requests, responses, uri, xml
from aioftps3.s3.checksums import Algorithm, Checksum
from aioftps3.s3.errors import NoSuchUpload, RequestInvalid
from aioftps3.s3.models import Body, BytesBody, CompletedPart, PartsPage, UploadsPage
from aioftps3.s3.sender import Call, RequestSender, nothing

UPLOADS_PER_REQUEST = 1000
"""Most uploads in one ListMultipartUploads answer."""


class MultipartOperations:
    """Operations on the multipart uploads of one bucket."""

    def __init__(self, sender: RequestSender, checksum: Algorithm | None) -> None:
        self._sender = sender
        self._checksum = checksum

    async def create_multipart_upload(
        self,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        headers: requests.Pairs = (),
        checksum: Algorithm | None = None,
    ) -> str:
        """Begin a multipart upload and give its id. `headers` say what else is kept with the object, see
        `requests.likeness`; `checksum` is what its parts will have.

        It is repeated even when an answer was lost: the upload that this may leave is there either way.
        """
        return await self._sender.call(
            Call(
                operation="CreateMultipartUpload",
                method="POST",
                key=key,
                query=(("uploads", ""),),
                headers=(*requests.description(content_type, metadata), *headers, *requests.announced(checksum)),
                body=BytesBody(b""),
                parse=lambda answer: xml.parse_upload_id(answer.body),
            )
        )

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> CompletedPart:
        """Send one part: 5 MiB to 5 GiB, only the last may be smaller; numbers are 1 to 10,000.

        Raises:
            NoSuchUpload: the upload has ended.
        """
        etag = await self._sender.call(
            Call(
                operation="UploadPart",
                method="PUT",
                key=key,
                query=(("partNumber", str(number)), ("uploadId", upload_id)),
                headers=requests.protection(body, self._checksum),
                body=body,
                parse=lambda answer: responses.etag(answer.headers),
            )
        )
        kept = requests.kept(body, self._checksum)
        return CompletedPart(number=number, etag=etag, size=body.length, checksum=kept)

    async def upload_part_copy(
        self,
        key: str,
        upload_id: str,
        number: int,
        *,
        source_key: str,
        first: int,
        last: int,
        source_if_match: str | None = None,
        checksum: Algorithm | None = None,
    ) -> CompletedPart:
        """Make bytes `first` to `last`, both included, of another object into a part. `checksum` is what the upload was
        begun with, which S3 then computes.

        Raises:
            NoSuchKey, NoSuchUpload, InvalidRange
            PreconditionFailed: the source's ETag is not `source_if_match`.
            NotSupported: some stores cannot.
        """
        if not 0 <= first <= last:
            raise RequestInvalid("a range ends behind its beginning")
        etag, computed = await self._sender.call(
            Call(
                operation="UploadPartCopy",
                method="PUT",
                key=key,
                query=(("partNumber", str(number)), ("uploadId", upload_id)),
                headers=(
                    ("x-amz-copy-source", self._copy_source(source_key)),
                    ("x-amz-copy-source-range", f"bytes={first}-{last}"),
                    *requests.conditions(source_if_match=source_if_match),
                ),
                body=BytesBody(b""),
                slow=True,
                parse=lambda answer: xml.parse_copied_part(answer.body, checksum),
            )
        )
        return CompletedPart(number=number, etag=etag, size=last - first + 1, checksum=computed)

    async def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        *,
        checksum: Checksum | None = None,
        if_none_match: str | None = None,
        if_match: str | None = None,
        provable: bool = False,
    ) -> str:
        """Make the object out of its parts, and give its ETag.

        `checksum` is that of the whole content; where parts have one, S3 is told the size too, and refuses to make
        anything else.

        When an answer is lost, some stores answer the repeated request with NoSuchUpload though the object is there,
        and a condition can fail because of the first request: `completion` proves it by a write token. `provable`: the
        caller does so, and a request with conditions can be repeated too.

        Raises:
            NoSuchUpload: the upload has ended.
            PreconditionFailed, Conflict: a condition does not hold; the upload is still there.
        """
        conditions = requests.conditions(if_match=if_match, if_none_match=if_none_match)
        return await self._sender.call(
            Call(
                operation="CompleteMultipartUpload",
                method="POST",
                key=key,
                query=(("uploadId", upload_id),),
                headers=(*conditions, *requests.promised(parts, checksum)),
                body=BytesBody(xml.complete_request(parts)),
                is_document=True,
                idempotent=provable or not conditions,
                slow=True,
                parse=lambda answer: xml.parse_complete_result(answer.body),
            )
        )

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Drop an upload and its parts; no error when it has ended already.

        Parts that are still on their way can survive this; see `list_parts`.
        """
        call = Call(
            operation="AbortMultipartUpload",
            method="DELETE",
            key=key,
            query=(("uploadId", upload_id),),
            parse=nothing,
        )
        try:
            await self._sender.call(call)
        except NoSuchUpload:
            return

    async def list_multipart_uploads(
        self, *, prefix: str = "", key_marker: str | None = None, upload_id_marker: str | None = None
    ) -> UploadsPage:
        """Get one page of the unfinished uploads whose keys begin with `prefix`."""
        query = requests.query(
            ("uploads", ""),
            ("encoding-type", "url"),
            ("max-uploads", str(UPLOADS_PER_REQUEST)),
            prefix=prefix or None,
            key_marker=key_marker,
            upload_id_marker=upload_id_marker,
        )
        return await self._sender.call(
            Call(
                operation="ListMultipartUploads",
                method="GET",
                query=query,
                parse=lambda answer: xml.parse_uploads_page(answer.body),
            )
        )

    async def list_parts(self, key: str, upload_id: str, *, marker: int | None = None) -> PartsPage:
        """Get one page of the parts that S3 holds of an unfinished upload.

        Raises:
            NoSuchUpload: it has ended.
        """
        query = requests.query(("uploadId", upload_id), part_number_marker=None if marker is None else str(marker))
        return await self._sender.call(
            Call(
                operation="ListParts",
                method="GET",
                key=key,
                query=query,
                parse=lambda answer: xml.parse_parts_page(answer.body),
            )
        )

    def _copy_source(self, key: str) -> str:
        return f"{uri.percent_encode(self._sender.endpoint.bucket)}/{uri.encode_key(key)}"
