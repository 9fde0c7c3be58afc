"""Multipart uploads that nobody will end: those of daemons that were killed. Used by `aioftps3 sweep`.

S3 keeps their parts, and bills them, until they are aborted. Whether somebody is still at an upload cannot be seen, so
that only its age decides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from aioftps3 import logs
from aioftps3.s3.client import S3Client
from aioftps3.s3.errors import S3Error
from aioftps3.s3.models import ListedUpload

__all__ = ("Summary", "sweep")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a sweep has found."""

    aborted: int
    """With `dry_run`: those that would have been."""
    failed: int
    younger: int
    """Left alone."""
    dry_run: bool

    def __str__(self) -> str:
        verb = "would be aborted" if self.dry_run else "aborted"
        failed = f", {self.failed} could not be aborted" if self.failed else ""
        return f"{self.aborted} {verb}{failed}, {self.younger} younger left alone"


async def sweep(
    client: S3Client, prefix: str, *, begun_before: float, dry_run: bool, tell: Callable[[str], None]
) -> Summary:
    """Abort the uploads of keys below `prefix` that were begun before a time (seconds since the epoch); with `dry_run`
    only tell of them. `tell` gets a line for each. One request for each 1000 uploads, and one for each abort.

    Raises:
        S3Error: the uploads cannot be listed.
    """
    aborted = failed = younger = 0
    key_marker: str | None = None
    id_marker: str | None = None
    while True:
        page = await client.list_multipart_uploads(prefix=prefix, key_marker=key_marker, upload_id_marker=id_marker)
        for upload in page.uploads:
            if upload.initiated >= begun_before:
                younger += 1
            elif await _aborted(client, upload, dry_run=dry_run, tell=tell):
                aborted += 1
            else:
                failed += 1
        if page.is_last:
            return Summary(aborted=aborted, failed=failed, younger=younger, dry_run=dry_run)
        key_marker, id_marker = page.next_key_marker, page.next_upload_id_marker


async def _aborted(client: S3Client, upload: ListedUpload, *, dry_run: bool, tell: Callable[[str], None]) -> bool:
    begun = datetime.fromtimestamp(upload.initiated, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    what = f"{begun} {logs.escape(upload.key)}"
    if dry_run:
        tell(f"would abort {what}")
        return True
    try:
        await client.abort_multipart_upload(upload.key, upload.upload_id)
    except S3Error as error:
        tell(f"FAILED {what}: {error}")
        return False
    tell(f"aborted {what}")
    return True
