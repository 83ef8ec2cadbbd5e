"""An export put on the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from recaption import storage
from recaption.config import RecipeError
from recaption.corpus.export.hub import CARD, DATA
from recaption.storage.shown import text_without_secrets
from recaption.text import printable

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_LOGIN = "log in with `hf auth login`, or set HF_TOKEN to a token that may write"


def check_push(repo: str, out: str) -> None:
    """Look, before an export, whether it can be pushed. Raises RecipeError or StorageError."""
    from huggingface_hub import HfApi, get_token

    if not _NAME.fullmatch(repo):
        raise RecipeError(f"--push: got {repo!r}, expected USER/NAME of a data set on the hub")
    if storage.is_remote(out):
        raise RecipeError(f"--push: got --out {out}, expected a local folder, which is uploaded")
    if not get_token():
        raise RecipeError(f"--push {repo}: no token for the hub; {_LOGIN}")
    api = HfApi()
    _ask(repo, api.whoami)


def push(folder: str, repo: str, is_public: bool) -> str:
    """Upload an export as one commit; return where it is. Run again, it sends what is new.

    A data set that is not there yet is made, private unless `is_public`.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    return str(_ask(repo, lambda: _upload(api, folder, repo, is_public)))


def _upload(api: HfApi, folder: str, repo: str, is_public: bool) -> str:
    data = f"{DATA}/train-*.parquet"
    url = api.create_repo(repo, repo_type="dataset", private=not is_public, exist_ok=True)
    api.upload_folder(
        repo_id=repo,
        repo_type="dataset",
        folder_path=folder,
        commit_message="Export of recaption",
        allow_patterns=[CARD, data],
        delete_patterns=[data],  # of an earlier export in more or fewer files
    )
    return str(url)


def _ask(repo: str, ask: Callable[[], Any]) -> Any:
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        return ask()
    except (HTTPError, OSError, ValueError, RuntimeError) as e:  # the last of an upload
        answer = getattr(e, "response", None)
        refused = answer is not None and answer.status_code in (401, 403)
        why = text_without_secrets(printable(f"{e} {e.__cause__ or ''}"))[:300].strip()
        hint = f"; {_LOGIN}" if refused else "; the same command again goes on"
        raise storage.StorageError(f"--push {repo}: the hub said: {why}{hint}") from e
