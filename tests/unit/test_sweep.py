import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from aioftps3 import cli
from aioftps3.embedded import Answer, Call, EmbeddedS3, Proceed, Refusal
from aioftps3.s3 import multipart
from aioftps3.s3.client import S3Client
from aioftps3.s3.credentials import StaticCredentials
from aioftps3.s3.errors import AccessDenied
from aioftps3.s3.models import Endpoint
from aioftps3.s3.retry import NO_RETRIES
from aioftps3.s3.transport import AiohttpTransport
from aioftps3.sweep import Summary, sweep

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOW = 1_800_000_000.0
DAY = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> float:
        return self.time


class Scene:
    def __init__(self, server: EmbeddedS3, client: S3Client, clock: Clock) -> None:
        self.server = server
        self.client = client
        self.clock = clock
        self.lines: list[str] = []

    async def begin(self, *keys: str, age: float) -> None:
        self.clock.time = NOW - age
        for key in keys:
            await self.client.create_multipart_upload(key)
        self.clock.time = NOW

    async def sweep(self, prefix: str = "", *, dry_run: bool = False) -> Summary:
        self.lines.clear()
        return await sweep(self.client, prefix, begun_before=NOW - DAY, dry_run=dry_run, tell=self.lines.append)

    @property
    def keys(self) -> list[str]:
        return sorted(key for key, _ in self.server.uploads_in_progress)


@asynccontextmanager
async def running_scene() -> AsyncIterator[Scene]:
    clock = Clock()
    async with EmbeddedS3(bucket="bucket", access_key=KEY, secret_key=SECRET, clock=clock) as server:
        client = S3Client(
            AiohttpTransport(),
            Endpoint.for_bucket("bucket", "us-east-1", server.url),
            StaticCredentials(KEY, SECRET),
            retry=NO_RETRIES,
            clock=clock,
        )
        scene = Scene(server, client, clock)
        try:
            yield scene
        finally:
            await client.close()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with running_scene() as scene:
        yield scene


async def test_old_uploads_are_aborted_and_young_ones_left_alone(scene: Scene) -> None:
    await scene.begin("old", "odd \n key", age=DAY + 1)
    await scene.begin("young", age=DAY - 1)

    assert await scene.sweep() == Summary(aborted=2, failed=0, younger=1, dry_run=False)
    assert scene.keys == ["young"]
    assert scene.lines == [
        "aborted 2027-01-14T07:59:59Z odd \\x0a key",
        "aborted 2027-01-14T07:59:59Z old",
    ]


async def test_a_dry_run_aborts_nothing(scene: Scene) -> None:
    await scene.begin("a", "b", age=2 * DAY)

    summary = await scene.sweep(dry_run=True)
    assert str(summary) == "2 would be aborted, 0 younger left alone"
    assert [line.split()[:2] for line in scene.lines] == [["would", "abort"]] * 2
    assert scene.keys == ["a", "b"]
    assert scene.server.count("AbortMultipartUpload") == 0


async def test_only_uploads_below_the_prefix_are_swept(scene: Scene) -> None:
    await scene.begin("team/a", "teams/a", "a", age=2 * DAY)

    await scene.sweep("team/")
    assert scene.keys == ["a", "teams/a"]


@pytest.mark.parametrize("per_page", [1, 2, 3, 7])
async def test_all_pages_are_swept_also_several_uploads_of_one_key(
    scene: Scene, per_page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart, "UPLOADS_PER_REQUEST", per_page)
    await scene.begin("a", "b", "b", "b", "c d", "é", age=2 * DAY)
    await scene.begin("b", age=0)

    assert await scene.sweep() == Summary(aborted=6, failed=0, younger=1, dry_run=False)
    assert scene.keys == ["b"]
    assert scene.server.count("ListMultipartUploads") == -(-7 // per_page)


async def test_an_upload_that_cannot_be_aborted_does_not_stop_the_others(scene: Scene) -> None:
    async def intercept(call: Call, proceed: Proceed) -> Answer:
        if call.operation == "AbortMultipartUpload" and call.key == "b":
            raise Refusal("AccessDenied", 403, "secret-name")
        return await proceed()

    await scene.begin("a", "b", "c", age=2 * DAY)
    scene.server.intercept = intercept
    summary = await scene.sweep()
    assert str(summary) == "2 aborted, 1 could not be aborted, 0 younger left alone"
    assert scene.lines[1].startswith("FAILED ")
    assert "AccessDenied" in scene.lines[1]
    assert "secret-name" not in scene.lines[1]
    assert scene.keys == ["b"]


async def test_uploads_that_cannot_be_listed_are_an_error(scene: Scene) -> None:
    async def intercept(call: Call, proceed: Proceed) -> Answer:
        raise Refusal("AccessDenied", 403, "")

    scene.server.intercept = intercept
    with pytest.raises(AccessDenied):
        await scene.sweep()


# -- the command --------------------------------------------------------------------------------------------------


def environ(server: EmbeddedS3, **more: str) -> Mapping[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_S3_BUCKET_NAME": "bucket",
        "AWS_S3_BUCKET_HOST": server.url,
        "FTP_USER_LOGIN": "user",
        "FTP_USER_PASSWORD": "correct horse",
        **more,
    }


async def run(*argv: str, environ: Mapping[str, str]) -> int:
    return await asyncio.to_thread(cli.main, argv, environ)


async def test_the_command_says_a_line_for_each_and_a_sum(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with EmbeddedS3(bucket="bucket", access_key=KEY, secret_key=SECRET) as server:
        client = S3Client(
            AiohttpTransport(), Endpoint.for_bucket("bucket", "us-east-1", server.url), StaticCredentials(KEY, SECRET)
        )
        await client.create_multipart_upload("team/a")
        await client.create_multipart_upload("b")

        assert await run("sweep", environ=environ(server)) == 0
        assert capsys.readouterr().out == "0 aborted, 2 younger left alone\n"

        arguments = ("sweep", "--older-than", "0s", "--prefix", "team")
        assert await run(*arguments, "--dry-run", environ=environ(server)) == 0
        assert capsys.readouterr().out.splitlines()[-1] == "1 would be aborted, 0 younger left alone"
        assert await run(*arguments, environ=environ(server)) == 0
        assert capsys.readouterr().out.splitlines()[-1] == "1 aborted, 0 younger left alone"
        assert [key for key, _ in server.uploads_in_progress] == ["b"]

        assert await run("sweep", environ=environ(server, AWS_S3_BUCKET_NAME="another")) == 1
        assert "FAILED to list uploads: there is no such bucket" in capsys.readouterr().out

        async def intercept(call: Call, proceed: Proceed) -> Answer:
            if call.operation == "AbortMultipartUpload":
                raise Refusal("AccessDenied", 403, "")
            return await proceed()

        server.intercept = intercept
        assert await run("sweep", "--older-than", "0s", environ=environ(server)) == 1
        assert "1 could not be aborted" in capsys.readouterr().out
        await client.close()


@pytest.mark.parametrize("age", ["soon", "-1h", "1w", ""])
def test_a_bad_age_is_wrong_usage(age: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["sweep", "--older-than", age], {})
    assert caught.value.code == 2
    assert "--older-than" in capsys.readouterr().err
