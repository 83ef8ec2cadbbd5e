"""The ways to a store that README and docs/operate.md promise: a profile, another name, no keys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recaption import storage
from recaption.storage.paths import split_bucket
from recaption.storage.ranges import on_loop
from recaption.storage.s3_client import send
from tests.storage.s3.build import NEEDS_S3

pytestmark = NEEDS_S3


@pytest.fixture
def file(root: str) -> str:
    """A file that was written with keys."""
    storage.write_bytes(f"{root}/a", b"x")
    return f"{root}/a"


def test_a_profile_brings_keys_and_the_store(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").write_text(
        f"[lab]\naws_access_key_id = {os.environ['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {os.environ['AWS_SECRET_ACCESS_KEY']}\n"
    )
    (tmp_path / "config").write_text(
        f"[profile lab]\nendpoint_url = {os.environ['AWS_ENDPOINT_URL']}\n"
    )
    with monkeypatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
            patch.delenv(name)
        patch.setenv("AWS_PROFILE", "lab")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        patch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        assert storage.read_bytes(file) == b"x"


def test_the_store_may_be_named_for_s3_alone(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", os.environ["AWS_ENDPOINT_URL"])
        patch.delenv("AWS_ENDPOINT_URL")
        assert storage.read_bytes(file) == b"x"


def test_what_is_public_is_read_without_keys(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, key = split_bucket(file)
    on_loop(send("put_object_acl", Bucket=bucket, Key=key, ACL="public-read"))
    with monkeypatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name)
        patch.setenv("RECAPTION_S3_ANONYMOUS", "1")
        assert storage.read_bytes(file) == b"x"
