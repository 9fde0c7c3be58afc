"""Where keys come from, and that they are not shown."""

import asyncio
from pathlib import Path

import pytest

from aioftps3.s3.credentials import (
    Credentials,
    EnvironmentCredentials,
    ProfileCredentials,
    StaticCredentials,
    default_provider,
)
from aioftps3.s3.errors import NoCredentials

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK"}

FILE = """
[default]
aws_access_key_id = AKD
aws_secret_access_key = SK%D=
[other]
aws_access_key_id=AKO
aws_secret_access_key=SKO
aws_session_token=TOKEN==
[empty]
region = x
"""


@pytest.fixture
def shared_file(tmp_path: Path) -> Path:
    path = tmp_path / "credentials"
    path.write_text(FILE)
    return path


def test_secrets_are_not_in_the_repr() -> None:
    assert repr(Credentials("AK", "SECRET", "TOKEN")) == "Credentials(access_key='AK', expires=None)"
    assert "SECRET" not in repr(StaticCredentials("AK", "SECRET"))


async def test_static_credentials_never_change() -> None:
    provider = StaticCredentials("AK", "SK", "T")
    assert await provider.credentials() == Credentials("AK", "SK", "T")
    assert await provider.refresh() is False


async def test_environment_gives_keys_and_token() -> None:
    assert await EnvironmentCredentials(ENVIRONMENT).credentials() == Credentials("AK", "SK")
    with_token = {**ENVIRONMENT, "AWS_SESSION_TOKEN": "T"}
    assert await EnvironmentCredentials(with_token).credentials() == Credentials("AK", "SK", "T")
    assert await EnvironmentCredentials(with_token).refresh() is False


@pytest.mark.parametrize("missing", ENVIRONMENT)
async def test_half_an_environment_is_none(missing: str) -> None:
    with pytest.raises(NoCredentials):
        await EnvironmentCredentials({**ENVIRONMENT, missing: ""}).credentials()


async def test_profile_is_read_from_the_shared_file(shared_file: Path) -> None:
    assert await ProfileCredentials("default", shared_file).credentials() == Credentials("AKD", "SK%D=")
    assert await ProfileCredentials("other", shared_file).credentials() == Credentials("AKO", "SKO", "TOKEN==")


@pytest.mark.parametrize("profile", ["missing", "empty"])
async def test_profile_without_keys_is_told(shared_file: Path, profile: str) -> None:
    with pytest.raises(NoCredentials):
        await ProfileCredentials(profile, shared_file).credentials()


@pytest.mark.parametrize("content", [None, b"aws_secret = SECRET\n", b"\xff\xfe", b"[a]\n[a]\nSECRET"])
async def test_unreadable_file_is_told_without_its_content(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "credentials"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NoCredentials) as caught:
        await ProfileCredentials("default", path).credentials()
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_file_is_read_once_and_again_on_refresh(shared_file: Path) -> None:
    provider = ProfileCredentials("default", shared_file)
    before = await provider.credentials()
    await asyncio.to_thread(shared_file.write_text, FILE.replace("AKD", "AKNEW"))
    assert await provider.credentials() == before
    assert await provider.refresh() is True
    assert (await provider.credentials()).access_key == "AKNEW"
    assert await provider.refresh() is False
    await asyncio.to_thread(shared_file.unlink)
    assert await provider.refresh() is False
    assert (await provider.credentials()).access_key == "AKNEW"


async def test_named_profile_comes_before_the_environment_and_that_before_the_default(shared_file: Path) -> None:
    where = {"AWS_SHARED_CREDENTIALS_FILE": str(shared_file)}

    async def chosen(environ: dict[str, str]) -> str:
        return (await default_provider({**where, **environ}).credentials()).access_key

    assert await chosen({}) == "AKD"
    assert await chosen(ENVIRONMENT) == "AK"
    assert await chosen({**ENVIRONMENT, "AWS_PROFILE": "other"}) == "AKO"
