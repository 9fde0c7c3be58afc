"""One version of an object, to be opened again at any position."""

from aioftps3.s3.checksums import Verification
from aioftps3.s3.client import S3Client
from aioftps3.s3.errors import InvalidRange, NoSuchKey, ObjectChanged, PreconditionFailed
from aioftps3.s3.getobject import GetObject
from aioftps3.s3.models import ObjectInfo

RESUMES = 3
"""Times in a row that reading goes on after a stream broke. Connecting is repeated by the client on top of that."""


class Version:
    """The object that `info` names by its ETag, and no other one of that key."""

    def __init__(self, client: S3Client, info: ObjectInfo) -> None:
        self.info = info
        self._client = client

    async def open(
        self, offset: int, length: int | None = None, *, verification: Verification | None = None
    ) -> GetObject:
        """Open it from a position on, for as many bytes as there are or at most `length`.

        Raises:
            ObjectChanged: it is not there any more.
        """
        try:
            stream = await self._client.get_object(
                self.info.key, offset=offset, length=length, if_match=self.info.etag, verification=verification
            )
        except (NoSuchKey, InvalidRange, PreconditionFailed) as error:
            raise ObjectChanged(f"{type(error).__name__}: {error}") from error
        if (stream.info.etag, stream.info.size) != (self.info.etag, self.info.size):  # some stores ignore conditions
            await stream.close()
            raise ObjectChanged("another version came")
        return stream
