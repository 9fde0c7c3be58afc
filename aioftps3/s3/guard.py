"""Writes that replace one version of an object and no other, whatever the store knows of conditions."""

import logging
from collections.abc import Awaitable
from typing import Protocol

from aioftps3.s3.client import S3Client
from aioftps3.s3.errors import NoSuchKey, NotSupported, ObjectChanged, PreconditionFailed
from aioftps3.s3.models import UploadResult

log = logging.getLogger(__name__)


class Write(Protocol):
    """The end of an upload, which can be tried again when a condition was refused."""

    def __call__(self, *, if_match: str | None = None, if_none_match: str | None = None) -> Awaitable[UploadResult]:
        """Write the object on these conditions."""


class Guard:
    """Lets `key` be written while it is the version of `etag`, or, for None, while there is no such object.

    AWS checks that when it writes. Of other stores some refuse the condition, some never find it true, and some ignore
    it without a word: there the object is looked at before each write, which costs a request and leaves others the time
    of that request to come between.
    """

    def __init__(self, client: S3Client, key: str, etag: str | None) -> None:
        self._client = client
        self._key = key
        self._etag = etag

    async def check(self) -> None:
        """See that the object is what it was.

        Raises:
            ObjectChanged: it is not.
        """
        try:
            there: str | None = (await self._client.head_object(self._key)).etag
        except NoSuchKey:
            there = None
        if there != self._etag:
            raise ObjectChanged("the object was written or deleted meanwhile")

    async def write(self, write: Write) -> UploadResult:
        """Write the object.

        Raises:
            ObjectChanged: it is not what it was any more; nothing was written.
            S3Error: as `write` does.
        """
        if not self._client.endpoint.on_aws:
            await self.check()
        try:
            return await write(if_match=self._etag, if_none_match=None if self._etag is not None else "*")
        except (NotSupported, PreconditionFailed, NoSuchKey) as error:
            await self.check()
            log.info("this store does not know conditions, and nothing has changed: %s", error)
        return await write()
