"""What storage says when things go wrong; and that importing it is light."""

from __future__ import annotations

import errno
import pickle
import ssl
import subprocess
import sys

import pytest

from recaption import storage
from recaption.storage import RetryPolicy, StorageError, Trouble
from recaption.storage.errors import HttpStatusError
from tests.storage.build import QUICK, s3_error


@pytest.mark.parametrize(
    ("error", "trouble", "words"),
    [
        (OSError(errno.ENOENT, ""), Trouble.MISSING, "no such file"),
        (FileNotFoundError("no errno"), Trouble.MISSING, "no such file"),
        (OSError(errno.EACCES, ""), Trouble.DENIED, "permission denied"),
        (OSError(errno.EPERM, ""), Trouble.DENIED, "lsattr"),
        (OSError(errno.ENOSPC, ""), Trouble.FULL, "the disk is full"),
        (OSError(errno.EDQUOT, ""), Trouble.FULL, "quota"),
        (OSError(errno.EROFS, ""), Trouble.READ_ONLY, "read-only"),
        (s3_error(403, "InvalidAccessKeyId"), Trouble.DENIED, "AWS_ACCESS_KEY_ID"),
        (s3_error(403, "SignatureDoesNotMatch"), Trouble.DENIED, "AWS_SECRET_ACCESS_KEY"),
        (s3_error(403, "AccessDenied"), Trouble.DENIED, "HTTP status 403 AccessDenied"),
        (s3_error(403, "RequestTimeTooSkewed"), Trouble.DENIED, "clock"),
        (s3_error(404, "NoSuchBucket"), Trouble.NO_BUCKET, "there is no bucket 'b'"),
        (s3_error(404, "NoSuchKey"), Trouble.MISSING, "no such file"),
        (s3_error(301, "PermanentRedirect"), Trouble.OTHER, "AWS_REGION"),
        (s3_error(503, "SlowDown"), Trouble.UNREACHABLE, "cannot serve it now"),
        (s3_error(507, ""), Trouble.FULL, "the store is full"),
        (s3_error(400, "InvalidArgument"), Trouble.OTHER, "InvalidArgument"),
        (HttpStatusError(404, "Not Found"), Trouble.MISSING, "HTTP status 404"),
        (ConnectionRefusedError(), Trouble.UNREACHABLE, "cannot be reached"),
        (
            ConnectionResetError("a\nb"),
            Trouble.UNREACHABLE,
            "broke off (ConnectionResetError: a b)",
        ),
        (ssl.SSLCertVerificationError("x"), Trouble.UNREACHABLE, "certificate is not trusted"),
        (ImportError("no s3fs"), Trouble.NO_DRIVER, "pip install s3fs"),
        (OSError("strange"), Trouble.OTHER, "OSError: strange"),
    ],
)
def test_messages(error: Exception, trouble: Trouble, words: str) -> None:
    told = storage.explain(error, "s3://b/k", "write")
    assert told.trouble is trouble
    assert str(told).startswith("could not write s3://b/k: ")
    assert words in str(told)
    assert str(told).endswith(".")
    assert "\n" not in str(told)


@pytest.mark.parametrize("url", ["http://host:port/a", "https:///a", "http://[::1/a"])
def test_a_malformed_url_is_told(url: str) -> None:
    with pytest.raises(StorageError, match="malformed"):
        storage.read_bytes(url, retry=QUICK)


def test_an_unknown_scheme_is_told() -> None:
    with pytest.raises(StorageError, match=r"scheme s4://. Did you mean s3://") as caught:
        storage.read_bytes("s4://bucket/a")
    assert caught.value.trouble is Trouble.UNKNOWN_SCHEME
    with pytest.raises(StorageError, match=r"Choose one of .*s3"):
        list(storage.list_names("zzzzzz://bucket/a"))


def test_a_missing_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(StorageError, match="Run: pip install gcsfs") as caught:
        storage.read_bytes("gs://bucket/a")
    assert caught.value.trouble is Trouble.NO_DRIVER
    code = """if True:
        import sys
        sys.modules["s3fs"] = None
        from recaption import storage
        try:
            storage.read_bytes("s3://b/k")
        except storage.StorageError as error:
            print(error)"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Run: pip install s3fs" in told.stdout


def test_errors_travel_between_processes() -> None:
    error = storage.explain(OSError(errno.ENOSPC, ""), "/a", "write")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.trouble) == (str(error), Trouble.FULL)
    assert pickle.loads(pickle.dumps(HttpStatusError(503, "Busy"))).status == 503


def test_import_is_light() -> None:
    code = (
        "import recaption.storage, sys;"
        "print(*{'ray', 'torch', 's3fs', 'fsspec', 'botocore', 'aiohttp'} & sys.modules.keys())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == ""


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("hf://datasets/org/name/a.tar", "cannot be reached"),
        ("hf://x", "namespace/name"),
        ("gs://b/a", "Run: pip install gcsfs"),
        ("az://b/a", "Run: pip install adlfs"),
        ("sftp://127.0.0.1:1/a", "Run: pip install paramiko"),
        ("dropbox://a/b", "Run: pip install dropboxdrivefs"),
        ("ftp://127.0.0.1:1/a", "cannot be reached"),
        ("webhdfs://127.0.0.1:1/a", "cannot be reached"),
        ("jupyter://h/a", "takes more than a url"),
        ("reference://a/b", "takes more than a url"),
        ("generic://a/b", "takes more than a url"),
        ("tar://a.tar::/nowhere.tar", "no such file"),
        ("zip://a::http://127.0.0.1:1/b.zip", "could not"),
    ],
)
def test_whatever_a_driver_raises_is_one_line(
    url: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    for doing in (storage.info, storage.read_bytes, storage.exists, storage.open_read):
        with pytest.raises(StorageError) as caught:
            if doing(url, retry=RetryPolicy(1, 0, 0)) is False:
                raise StorageError(f"could not {words}: no such file")
        assert "\n" not in str(caught.value)
    assert words in str(caught.value)
