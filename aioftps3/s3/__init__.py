"""An S3 client of its own: SigV4 by hand over aiohttp, streaming multipart uploads, one process-wide memory budget.

It needs the standard library and aiohttp, and imports nothing else of aioftps3::

    async def main() -> None:
        endpoint = Endpoint.for_bucket("my-bucket", "eu-west-1")
        client = S3Client(AiohttpTransport(), endpoint, default_provider())
        try:
            upload = Upload(client, "a/key", budget=ByteBudget(256 * 1024 * 1024))
            try:
                await upload.write(b"content")
                await upload.complete()
            except BaseException:
                await upload.abort()
                raise
        finally:
            await client.close()

It reports every attempt of a request through `Observer`. Errors are in `aioftps3.s3.errors`.
"""

from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.client import S3Client
from aioftps3.s3.copy import copy_any_size
from aioftps3.s3.credentials import (
    Credentials,
    CredentialsProvider,
    EnvironmentCredentials,
    ProfileCredentials,
    StaticCredentials,
    default_provider,
)
from aioftps3.s3.download import Download
from aioftps3.s3.errors import S3Error, S3ProtocolError, S3ResponseError, S3TransportError, UploadEvicted
from aioftps3.s3.getobject import GetObject
from aioftps3.s3.models import (
    Body,
    BytesBody,
    CompletedPart,
    Endpoint,
    ListedObject,
    ListedUpload,
    ListPage,
    ObjectInfo,
    Observer,
    RequestEvent,
    UploadResult,
    UploadsPage,
)
from aioftps3.s3.ranges import Parallel
from aioftps3.s3.remote_credentials import RefreshingCredentials, chosen_provider
from aioftps3.s3.retry import NO_RETRIES, RetryPolicy
from aioftps3.s3.transport import AiohttpTransport, Request, Response, Transport
from aioftps3.s3.upload import Upload

__all__ = (
    "NO_RETRIES",
    "AiohttpTransport",
    "Body",
    "ByteBudget",
    "BytesBody",
    "CompletedPart",
    "Credentials",
    "CredentialsProvider",
    "Download",
    "Endpoint",
    "EnvironmentCredentials",
    "GetObject",
    "ListPage",
    "ListedObject",
    "ListedUpload",
    "ObjectInfo",
    "Observer",
    "Parallel",
    "ProfileCredentials",
    "RefreshingCredentials",
    "Request",
    "RequestEvent",
    "Response",
    "RetryPolicy",
    "S3Client",
    "S3Error",
    "S3ProtocolError",
    "S3ResponseError",
    "S3TransportError",
    "StaticCredentials",
    "Transport",
    "Upload",
    "UploadEvicted",
    "UploadResult",
    "UploadsPage",
    "chosen_provider",
    "copy_any_size",
    "default_provider",
)
