from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession

from aioftps3.embedded import EmbeddedS3, Limits
from tests.unit.embedded.signed_client import ACCESS_KEY, BUCKET, MAX_PUT, MIN_PART, REGION, SECRET_KEY, SignedClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(params=["memory", "directory"])
async def s3(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EmbeddedS3]:
    """A server with small limits, once with each store."""
    async with EmbeddedS3(
        bucket=BUCKET,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        region=REGION,
        directory=tmp_path / "store" if request.param == "directory" else None,
        limits=Limits(min_part=MIN_PART, max_put=MAX_PUT),
    ) as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession() as opened:
        yield opened


@pytest.fixture
async def client(s3: EmbeddedS3, session: ClientSession) -> SignedClient:
    return SignedClient(session, s3)
