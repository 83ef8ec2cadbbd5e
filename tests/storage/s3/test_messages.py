"""What is said of a missing file or bucket, of credentials and endpoints."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recaption import storage
from recaption.storage import RetryPolicy, StorageError, Trouble
from tests.corpus.build import BUCKET
from tests.storage.s3.build import NEEDS_S3

pytestmark = NEEDS_S3


@pytest.mark.parametrize("doing", [storage.info, storage.read_bytes, storage.open_read])
def test_a_missing_file_is_told(root: str, doing: Callable[[str], object]) -> None:
    with pytest.raises(StorageError, match="there is no such file") as caught:
        doing(f"{root}/missing")
    assert caught.value.trouble is Trouble.MISSING


@pytest.mark.parametrize(
    "doing",
    [
        storage.info,
        storage.read_bytes,
        lambda url: storage.write_bytes(url, b"x"),
        lambda url: storage.put_if_absent(url, b"x"),
        lambda url: storage.delete([url]),
        lambda url: list(storage.list_names(url)),
    ],
)
def test_a_missing_bucket_is_told(doing: Callable[[str], object]) -> None:
    with pytest.raises(StorageError, match="no bucket 'no-such-bucket-here' at http") as caught:
        doing("s3://no-such-bucket-here/a")
    assert caught.value.trouble is Trouble.NO_BUCKET


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("AWS_SECRET_ACCESS_KEY", "secret key is wrong.*Check AWS_SECRET_ACCESS_KEY"),
        ("AWS_ACCESS_KEY_ID", "does not know the access key.*Check AWS_ACCESS_KEY_ID"),
    ],
)
def test_wrong_credentials_are_told(
    root: str, monkeypatch: pytest.MonkeyPatch, variable: str, message: str
) -> None:
    storage.write_bytes(f"{root}/a", b"x")
    with monkeypatch.context() as patch:
        patch.setenv(variable, "wrong")
        for doing in (storage.read_bytes, lambda url: storage.put_if_absent(url, b"x")):
            with pytest.raises(StorageError, match=message) as caught:
                doing(f"{root}/a")
            assert caught.value.trouble is Trouble.DENIED
            assert "\n" not in str(caught.value)
        with pytest.raises(StorageError, match=r"access denied \(HTTP status 403"):
            storage.info(f"{root}/a")


def test_no_credentials_are_told(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        patch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        with pytest.raises(StorageError, match=r"no .* credentials.*RECAPTION_S3_ANONYMOUS"):
            storage.read_bytes(f"s3://{BUCKET}/a")
        patch.setenv("RECAPTION_S3_ANONYMOUS", "1")
        with pytest.raises(StorageError, match=r"access denied|no such file"):
            storage.read_bytes(f"s3://{BUCKET}/a")
    monkeypatch.undo()


def test_an_unreachable_endpoint_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    retry = RetryPolicy(attempts=3, first_delay_s=0.01)
    with pytest.raises(
        StorageError, match=r"127.0.0.1:9 cannot be reached.*tried 3 times"
    ) as caught:
        storage.read_bytes("s3://bucket/a", retry=retry)
    assert caught.value.trouble is Trouble.UNREACHABLE


def test_a_malformed_endpoint_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:9000")
    with pytest.raises(StorageError, match=r"AWS_ENDPOINT_URL is malformed.*Write http://"):
        storage.read_bytes("s3://bucket/a")
