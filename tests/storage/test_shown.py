"""No password, token or signature of a url is kept or shown."""

from __future__ import annotations

import pytest

from recaption.storage.shown import (
    NOT_SHOWN,
    fit_to_print,
    is_secret_name,
    location_of,
    naming_query,
    settings_without_secrets,
    text_without_secrets,
    without_secrets,
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:SECRET@host/a/b.tar", "http://host/a/b.tar"),
        ("https://SECRET@host:8080/a@2x.tar", "https://host:8080/a@2x.tar"),
        ("https://user:SE/CR@ET@host/b.tar", "https://host/b.tar"),
        ("HTTP://u:SECRET@[::1]:80/a", "HTTP://[::1]:80/a"),
        ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
        ("https://h/a.tar?X-Amz-Signature=SECRET&X-Amz-Date=1", "https://h/a.tar?..."),
        ("https://h/a.tar?n=SECRET#SECRET", "https://h/a.tar?..."),
        ("https://h/a.tar#SECRET", "https://h/a.tar?..."),
        ("https://h/a.tar;sig=SECRET", "https://h/a.tar;sig=..."),
        ("s3://AKIA:SECRET@bucket/key", "s3://bucket/key"),
        ("s3://AKIA:SE/CR+ET@bucket/key", "s3://bucket/key"),
        ("s3://bucket/shard-?.tar", "s3://bucket/shard-?.tar"),
        ("s3://bucket/key=5/a@b?token=SECRET", "s3://bucket/key=5/a@b?token=..."),
        ("az://box/a.tar?sv=2&sig=SECRET&se=3", "az://box/a.tar?sv=2&sig=...&se=3"),
        ("abfs://box@account.dfs.core.windows.net/a", "abfs://box@account.dfs.core.windows.net/a"),
        ("ftp://user:SECRET@host/a", "ftp://user@host/a"),
        ("sftp://user@host/a", "sftp://user@host/a"),
        ("hf://datasets/org/name@main/a.tar", "hf://datasets/org/name@main/a.tar"),
        ("zip://a.jpg::http://u:SECRET@h/b.zip?sig=SECRET", "zip://a.jpg::http://h/b.zip?..."),
        ("simplecache::filecache::s3://A:SECRET@b/k", "simplecache::filecache::s3://b/k"),
        ("memory://a/b", "memory://a/b"),
        ("/data/a?token=1", "/data/a?token=1"),
        ("/data/user:pw@host", "/data/user:pw@host"),
    ],
)
def test_urls(url: str, shown: str) -> None:
    assert without_secrets(url) == shown
    assert without_secrets(shown) == shown
    assert location_of(url) == shown.removesuffix("?...")


@pytest.mark.parametrize(
    "text",
    [
        "400, message='Bad', url='http://u:SECRET@h/a?X-Amz-Signature=SECRET'",
        "could not read URL(https://h/a.tar?sig=SECRET): no",
        "GET /a.tar?sv=1&sig=SECRET failed",
        "got x-amz-security-token=SECRET and api_key=SECRET.",
        "headers {'Authorization': 'Bearer SECRETSECRET'}",
        "Incorrect API key provided: sk-SECRETSECRETSECRET0",
        "no s3://AKIA:SECRET@bucket/key, nor zip://a::https://SECRET@h/b.",
    ],
)
def test_texts_of_others(text: str) -> None:
    assert "SECRET" not in text_without_secrets(text)


def test_a_text_without_secrets_stays() -> None:
    text = "could not read https://host:8080/a.tar: got 3 of 5 bytes; set engine.tokenizer=x, a=b"
    assert text_without_secrets(text) == text


def test_settings() -> None:
    settings = {
        "path": ["https://u:SECRET@h/a?sig=SECRET", "/data/a"],
        "args": {"hf_token": "SECRET", "tokenizer": "x", "max_tokens": 5, "api_key": ""},
        "headers": {"Authorization": "SECRET", "x-api-key": ["SECRET"]},
        "env": "sk-SECRETSECRETSECRET0",
        "number": 1.5,
    }
    kept = settings_without_secrets(settings)
    assert "SECRET" not in str(kept)
    assert kept["path"] == ["https://h/a?...", "/data/a"]
    assert kept["args"] == {"hf_token": NOT_SHOWN, "tokenizer": "x", "max_tokens": 5, "api_key": ""}
    assert kept["number"] == 1.5


def test_what_of_a_query_names_a_file() -> None:
    url = "https://h/get?file=a.tar&sig=SECRET.tar&id=7&token=SECRET.tar&x=SECRET&data=b.tar#id=SECRET"
    assert naming_query(url) == "?file=a.tar&id=7&data=b.tar"
    assert naming_query("https://h/a.tar") == naming_query("s3://b/k?id=7") == ""


def test_a_line_for_a_terminal() -> None:
    line = "  a\x1b[2J\x1b]0;title\x07b\r\n c http://u:SECRET@h/x key=value policy=any"
    assert fit_to_print(line) == "  ab  c http://h/x key=value policy=any"


def test_names_of_secrets() -> None:
    for name in "api_key apiKey hf_token token AWS_SECRET_ACCESS_KEY password X-Api-Key".split():
        assert is_secret_name(name), name
    for name in "tokenizer max_tokens eos_token image_token_id api_key_env policy".split():
        assert not is_secret_name(name), name
