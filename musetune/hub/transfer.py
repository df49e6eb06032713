"""To the Hub and back: a push is one commit or none, a pull leaves a whole folder or none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile
from typing import Any

from musetune.formats.json_object import text_field
from musetune.hub.card import card, licence_of
from musetune.hub.contents import ADAPTER_KINDS, PIPELINE, PIPELINE_FILES, WEIGHTS, kind_of, shareable
from musetune.hub.licences import UNKNOWN
from musetune.hub.listing import read_json

PATIENCE_S = 5.0  # for the Hub's first answer
README = "README.md"
PATTERNS = [f"*{suffix}" for suffix in ADAPTER_KINDS]
OURS = {*WEIGHTS, *(weights for _, weights in WEIGHTS.values()), "musetune.json", "training.json", "results.json"}
OURS |= {f"lora/{name}" for name in ("adapter_config.json", "adapter_model.safetensors")}


class HubError(OSError):
    """A failure between here and the Hub, in one line: what went wrong, and what to do."""


def push(
    folder: str | Path,
    repo_id: str,
    *,
    token: str | None = None,
    revision: str | None = None,
    private: bool | None = None,
    message: str | None = None,
    license: str | None = None,
) -> str:
    """Put an adapter's or a whole pipeline's folder into a repository of the Hub, in one commit.

    The repository and the branch are made where there are none. A model card is made where an adapter's folder has no
    README.md. An
    adapter's file that the folder no longer has is deleted on the Hub. ``files_to_push`` says beforehand what is sent.

    Args:
        folder: what ``pipe.save_adapter`` or ``pipe.save_pretrained`` wrote.
        repo_id: "owner/name".
        token: with write access; default: HF_TOKEN, or what `hf auth login` left.
        revision: a branch; default: main.
        private: whether a new repository is private; default: as the account has it.
        message: the commit's.
        license: of an adapter, as the Hub spells it; needed where it does not follow from base and music, and README.md
            states none.

    Returns:
        The commit's URL.

    Raises:
        ValueError: for a folder that holds what is not shared; see ``shareable``; for an adapter of unknown licence.
        HubError: where the Hub cannot be reached or refuses.

    Example:
        >>> from musetune.hub import push
        >>> push("adapters/jazz", "me/musetune-jazz", revision="v2")  # doctest: +SKIP
        'https://huggingface.co/me/musetune-jazz/commit/…'
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    folder, repo_id = Path(folder), check_repo_id(repo_id)
    names = files_to_push(folder)
    if PIPELINE not in names and (why := why_unlicensed(folder, license)):
        raise ValueError(why)
    added = [CommitOperationAdd(name, _content(folder, name, repo_id, revision, license)) for name in names]
    api = HfApi(token=token)
    with explain_errors(repo_id, revision, "push"):
        api.create_repo(repo_id, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        stale = OURS & set(api.list_repo_files(repo_id, revision=revision)) - set(names)
        gone = [CommitOperationDelete(name, is_folder=False) for name in sorted(stale)]
        summary = message or f"Push {_title(folder)} with musetune"
        return api.create_commit(repo_id, [*gone, *added], commit_message=summary, revision=revision).commit_url


def files_to_push(folder: str | Path) -> list[str]:
    """List what ``push`` would send of a folder, checked: its files, and README.md where that is made.

    Args:
        folder: an adapter's, or a whole pipeline's.

    Returns:
        Names relative to the folder, with "/".

    Raises:
        FileNotFoundError: where there is no such folder.
        ValueError: for a folder that holds what is not shared; see ``shareable``.

    Example:
        >>> from musetune.hub import files_to_push
        >>> from musetune.hub.locate import find_adapter
        >>> [name for name in files_to_push(find_adapter("theory")) if name.startswith("lora/")]
        ['lora/adapter_config.json', 'lora/adapter_model.safetensors']
    """
    names = shareable(folder)
    return names if README in names or PIPELINE in names else [*names, README]


def why_unlicensed(folder: str | Path, license: str | None = None) -> str | None:
    """Return why an adapter's folder cannot be pushed for want of a licence, and what to do; None where it can.

    Args:
        folder: an adapter's.
        license: as the user states it.
    """
    stated = stated_licence(Path(folder))
    if license is not None:
        other = stated is not None and stated != license
        return f"README.md in {folder} says license: {stated}, not {license}: change it there" if other else None
    if stated is not None:
        return None
    derived = licence_of(folder)
    if derived.name != UNKNOWN:
        return None
    return (
        f"the licence of {folder} is unknown, so it is not sent: give --license (license=… in Python), such as "
        f"cc-by-4.0, if you may share it. {derived.reason}"
    )


def stated_licence(folder: Path) -> str | None:
    """Return the licence in the front matter of a folder's README.md, None where it has none, or "unknown"."""
    path = folder / README
    if not path.is_file():
        return None
    from huggingface_hub import ModelCard

    licence = ModelCard(path.read_text(encoding="utf-8"), ignore_metadata_errors=True).data.get("license")
    return None if licence in (None, UNKNOWN) else str(licence)


def card_to_push(
    folder: str | Path, repo_id: str | None = None, revision: str | None = None, license: str | None = None
) -> str:
    """Return the README.md that ``push`` sends of an adapter's folder: its own, or one that is made.

    Args:
        folder: an adapter's.
        repo_id: the repository where it will lie.
        revision: the branch there.
        license: as the user states it; it is added to a README.md that states none.
    """
    path = Path(folder) / README
    if not path.is_file():
        return card(folder, repo_id=repo_id, revision=revision, license=license)
    text = path.read_text(encoding="utf-8")
    if license is None or stated_licence(Path(folder)) is not None:
        return text
    from huggingface_hub import ModelCard

    own = ModelCard(text, ignore_metadata_errors=True)
    own.data["license"] = license
    return str(own)


def _content(folder: Path, name: str, repo_id: str, revision: str | None, license: str | None) -> str | bytes:
    """Return a file's path, or the card's text where README.md is made or gets its licence."""
    path = folder / name
    if name == README and PIPELINE not in (entry.name for entry in folder.iterdir()):
        text = card_to_push(folder, repo_id, revision, license)
        if not path.is_file() or text != path.read_text(encoding="utf-8"):
            return text.encode()
    return str(path)


def _title(folder: Path) -> str:
    path = folder / "musetune.json"
    return text_field(read_json(path), "name", str(path)) or folder.resolve().name


def pull(
    repo_id: str,
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    out: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """Fetch an adapter or a pipeline from the Hub, into the cache or into a folder.

    Only safetensors, JSON, Markdown, PNG and audio are fetched (of a whole pipeline also pipeline.py and its
    tokenizers' files), and each
    is checked to be that.

    Args:
        repo_id: "owner/name".
        revision: a branch, tag or commit; default: main.
        token: for a private repository; default: HF_TOKEN, or what `hf auth login` left.
        cache_dir: the Hub's cache, by default huggingface_hub's.
        out: a new or empty folder for a copy.
        local_files_only: take what the cache holds, and ask nobody.

    Returns:
        The folder: in the cache, or ``out``.

    Raises:
        HubError: where the Hub cannot be reached or has no such repository.
        FileExistsError: for an ``out`` with files.
        ValueError: for what is no adapter.

    Example:
        >>> from musetune.hub import pull
        >>> pull("me/musetune-jazz", out="jazz")  # doctest: +SKIP
        PosixPath('jazz')
    """
    from huggingface_hub import constants, snapshot_download

    repo_id = check_repo_id(repo_id)
    if out is not None and Path(out).exists() and (not Path(out).is_dir() or any(Path(out).iterdir())):
        raise FileExistsError(f"{out} is there already and not empty: name a new folder")
    fetch: dict[str, Any] = {"revision": revision, "token": token}
    with explain_errors(repo_id, revision, "pull"), _asking(local_files_only) as fetch["local_files_only"]:
        folder = Path(snapshot_download(repo_id, cache_dir=cache_dir, allow_patterns=PATTERNS, **fetch))
        if (folder / PIPELINE).is_file():
            snapshot_download(repo_id, cache_dir=cache_dir, allow_patterns=[*PATTERNS, *PIPELINE_FILES], **fetch)
    if kind_of(folder) is None:
        raise ValueError(f"{repo_id} holds no adapter, or none in safetensors: look at {constants.ENDPOINT}/{repo_id}")
    try:
        names = shareable(folder, strict=False)
    except ValueError as error:
        raise ValueError(f"{repo_id} is not used: {error}") from error
    return folder if out is None else _copy(folder, names, Path(out))


def check_cache(repo_id: str, name: str, *, revision: str | None = None, **hub: Any) -> dict[str, Any]:
    """Find out, before anything is loaded, whether a repository can be had: asked once, without retries.

    Args:
        repo_id: "owner/name".
        name: A file that the repository must have.
        revision: A branch, tag or commit; default: main.
        hub: cache_dir and local_files_only, as huggingface_hub takes them; what else there is, is left alone.

    Returns:
        `{"local_files_only": True}` where the Hub does not answer but the cache has the file, else nothing.

    Raises:
        HubError: The Hub does not answer, or HF_HUB_OFFLINE is set, and the file is not in the cache.
    """
    from huggingface_hub import hf_hub_download

    with explain_errors(repo_id, revision, "pull"), _asking(bool(hub.get("local_files_only"))) as cached:
        if cached:
            hf_hub_download(repo_id, name, revision=revision, cache_dir=hub.get("cache_dir"), local_files_only=True)
    return {"local_files_only": True} if cached else {}


@contextmanager
def _asking(local_files_only: bool) -> Iterator[bool]:
    """Yield whether only the cache shall be asked: so it is wanted, or set by HF_HUB_OFFLINE, or the Hub does not
    answer one request. huggingface_hub alone would ask five more times, for half a minute.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    reason = None if local_files_only else _unreachable()
    try:
        yield local_files_only or reason is not None
    except LocalEntryNotFoundError as error:
        if reason is None:
            raise
        raise error from reason


def _unreachable() -> Exception | None:
    """Why the Hub cannot be asked now; None where it answers, whatever it says."""
    from huggingface_hub import constants
    from huggingface_hub.errors import OfflineModeIsEnabled
    from huggingface_hub.utils import get_session

    if constants.HF_HUB_OFFLINE:
        return OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
    try:
        get_session().head(constants.ENDPOINT, timeout=PATIENCE_S)
    except Exception as error:  # httpx's or requests', as the version of huggingface_hub has it
        if _on_the_wire(error):
            return error
        raise
    return None


def _copy(folder: Path, names: list[str], out: Path) -> Path:
    """Copy to beside ``out`` first, then rename: nobody sees half of it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as beside:
        whole = Path(beside) / out.name
        for name in names:
            (whole / name).parent.mkdir(parents=True, exist_ok=True)
            copyfile(folder / name, whole / name)
        if out.exists():
            out.rmdir()
        whole.rename(out)
    return out


def check_repo_id(repo_id: str) -> str:
    """Return ``repo_id`` where it is one. Raises ValueError."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(repo_id)
        if repo_id.count("/") == 1:
            return repo_id
    except HFValidationError as error:
        raise ValueError(f"repo_id={repo_id!r}: {error}") from error
    raise ValueError(f"repo_id={repo_id!r} is not owner/name, such as me/musetune-jazz")


@contextmanager
def explain_errors(repo_id: str, revision: str | None, doing: str) -> Iterator[None]:
    """A context that turns errors of huggingface_hub into HubError, and leaves others as they are."""
    try:
        yield
    except Exception as error:
        explanation = explain(error, repo_id, revision, doing)
        if explanation is None:
            raise
        raise HubError(explanation) from error


def explain(error: BaseException, repo_id: str, revision: str | None, doing: str) -> str | None:
    """Return one line about an error of the Hub or the wire, None for any other."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    if type(error) is ValueError:  # such as a README.md that the Hub's validation refuses
        return None
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    answer = next((e for e in chain if isinstance(e, HfHubHTTPError)), None)
    if answer is not None:
        return _explain_answer(answer, repo_id, revision, doing)
    at = f"{repo_id}{f' at {revision}' if revision else ''}"
    if any(isinstance(e, OfflineModeIsEnabled) for e in chain):
        cached = f" and the cache has not the whole of {at}" if doing == "pull" else ""
        return f"HF_HUB_OFFLINE is set{cached}: unset it to {doing}"
    broken = next((e for e in reversed(chain) if _on_the_wire(e)), None)
    if broken is not None:
        result = "nothing was committed" if doing == "push" else f"the cache has not the whole of {at}"
        reason = f"{type(broken).__name__}: {broken}"
        return f"the connection to {constants.ENDPOINT} failed ({reason}), and {result}: try again"
    if any(isinstance(e, LocalEntryNotFoundError) for e in chain):
        return f"the cache has not the whole of {at}: pull it once without local_files_only"
    return None


def _on_the_wire(error: BaseException) -> bool:
    """Return whether an error is of the connection: httpx's, requests', xet's, or the system's.

    Which of the first two depends on the version of huggingface_hub.
    """
    package = type(error).__module__.split(".")[0]
    packages = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "hf_xet")
    cut = isinstance(error, OSError) and "Consistency check failed" in str(error)  # a download that ended early
    return cut or package in packages or isinstance(error, ConnectionError | TimeoutError)


def _explain_answer(error: Any, repo_id: str, revision: str | None, doing: str) -> str:
    """Return one line about an error that the Hub answered with."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    response: Any = error.response
    status, login = response.status_code, f"{constants.ENDPOINT}/settings/tokens"
    detail = f": {error.server_message}" if error.server_message else ""
    if isinstance(error, RevisionNotFoundError):
        return f"{repo_id} has no revision {revision or 'main'!r}: give a branch, a tag or a commit of it"
    if isinstance(error, EntryNotFoundError):
        return f"{repo_id} has no such file ({response.url})"
    if status == 403:
        return f"the token may not {doing} {repo_id} (403){detail}; make one with write access at {login}"
    refused = "Invalid credentials" in (response.headers.get("X-Error-Message") or "")
    if status == 401 and doing == "push" and not refused and get_token() is None:
        remedy = f"run `hf auth login`, set HF_TOKEN or give a token made at {login}"
        return f"the Hub wants to know who you are (401): {remedy}"
    if status == 401 and (refused or doing == "push"):
        return f"the Hub does not accept the token (401){detail}; make one at {login}, then run `hf auth login`"
    if isinstance(error, RepositoryNotFoundError) or status == 404:
        return (
            f"no repository {repo_id} at {constants.ENDPOINT}, or a private one that the token does not open: check "
            "the name, or run `hf auth login`"
        )
    return f"the Hub did not {doing} {repo_id} ({status}){detail or f': {error}'}; try again later"
