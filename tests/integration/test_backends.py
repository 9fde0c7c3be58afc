"""The S3 servers that the other tests run on."""

from __future__ import annotations

import os
import ssl
import urllib.request

import pytest

from tests.support.backends import MINIO, Backend


def test_the_tests_run_on_a_real_minio_too() -> None:
    if not os.environ.get(MINIO):
        pytest.skip(f"NO MINIO: {MINIO} is not set, the embedded server alone is tested (./tests.sh starts a MinIO)")
    context = ssl.create_default_context(cafile=os.environ.get(f"{MINIO}_CA"))
    https = urllib.request.HTTPSHandler(context=context)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), https)
    with opener.open(f"{os.environ[MINIO]}/minio/health/live", timeout=10) as answer:
        assert answer.status == 200
        assert answer.headers["Server"] == "MinIO"


def test_what_is_put_can_be_read_listed_and_removed(backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/a b+%é", b"content")
    assert backend.read(f"{folder}/a b+%é") == b"content"
    assert backend.sizes(folder) == {f"{folder}/": 0, f"{folder}/a b+%é": 7}
    assert backend.uploads(f"{folder}/a b+%é") == 0
    backend.remove(f"{folder}/a b+%é")
    with pytest.raises(KeyError):
        backend.read(f"{folder}/a b+%é")
