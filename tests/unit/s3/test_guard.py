"""Writes that replace one version of an object and no other."""

import pytest

from aioftps3.s3.client import S3Client
from aioftps3.s3.errors import AccessDenied, ObjectChanged
from aioftps3.s3.guard import Guard
from aioftps3.s3.models import BytesBody, UploadResult
from tests.unit.s3.fakes import Answered, FakeS3, client_of, client_on_aws, etag

OLD, NEW, FOREIGN = b"old", b"new", b"foreign"


def store(content: bytes | None = OLD) -> FakeS3:
    fake = FakeS3()
    if content is not None:
        fake.objects["k"], fake.metadata["k"] = content, {}
    return fake


async def write(client: S3Client, expected: bytes | None) -> UploadResult:
    async def put(*, if_match: str | None = None, if_none_match: str | None = None) -> UploadResult:
        return await client.put_object("k", BytesBody(NEW), if_match=if_match, if_none_match=if_none_match)

    return await Guard(client, "k", None if expected is None else etag(expected)).write(put)


@pytest.mark.parametrize("before", [OLD, None])
async def test_aws_checks_by_itself(before: bytes | None) -> None:
    fake = store(before)
    assert (await write(client_on_aws(fake), before)).etag == etag(NEW)
    assert fake.requests == ["PutObject"]
    assert fake.objects == {"k": NEW}


@pytest.mark.parametrize("before", [OLD, None])
async def test_elsewhere_the_object_is_looked_at_just_before(before: bytes | None) -> None:
    fake = store(before)
    await write(client_of(fake), before)
    assert fake.requests == ["HeadObject", "PutObject"]
    assert fake.objects == {"k": NEW}


@pytest.mark.parametrize("on_aws", [True, False])
@pytest.mark.parametrize(("expected", "there"), [(OLD, FOREIGN), (OLD, None), (None, FOREIGN)])
async def test_what_others_have_written_or_deleted_meanwhile_stays_so(
    on_aws: bool, expected: bytes | None, there: bytes | None
) -> None:
    fake = store(there)
    with pytest.raises(ObjectChanged):
        await write(client_on_aws(fake) if on_aws else client_of(fake), expected)
    assert fake.objects.get("k") == there


@pytest.mark.parametrize(("expected", "there"), [(OLD, FOREIGN), (OLD, None), (None, FOREIGN)])
async def test_a_store_that_ignores_conditions_replaces_nothing_else_either(
    expected: bytes | None, there: bytes | None
) -> None:
    fake = store(there)
    fake.ignores_conditions = True
    with pytest.raises(ObjectChanged):
        await write(client_of(fake), expected)
    assert fake.objects.get("k") == there
    assert fake.requests == ["HeadObject"]


@pytest.mark.parametrize("on_aws", [True, False])
async def test_a_condition_that_is_refused_or_never_holds_is_left_out_when_nothing_has_changed(on_aws: bool) -> None:
    for refusal in (Answered(501, "NotImplemented"), None):
        fake = store()
        fake.never_matches = True
        if refusal is not None:
            fake.faults["PutObject", 0] = refusal
            fake.never_matches = False
        await write(client_on_aws(fake) if on_aws else client_of(fake), OLD)
        assert fake.objects == {"k": NEW}
        assert fake.requests[-3:] == ["PutObject", "HeadObject", "PutObject"]


async def test_any_other_failure_is_one() -> None:
    fake = store()
    fake.always["PutObject"] = Answered(403, "AccessDenied")
    with pytest.raises(AccessDenied):
        await write(client_of(fake), OLD)
    fake.always["HeadObject"] = Answered(403)
    with pytest.raises(AccessDenied):
        await write(client_of(fake), OLD)
    assert fake.objects == {"k": OLD}
