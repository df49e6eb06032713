"""To the Hub with a data set of annotations: tables, latents and card, in one commit."""

from __future__ import annotations

from pathlib import Path

from musetune.hub.transfer import README, check_repo_id, explain_errors, stated_licence

MARK = "annotations.json"  # a data set's folder has it
PATTERNS = (README, MARK, "data/*.parquet", "latents/*.safetensors")


def is_dataset(folder: str | Path) -> bool:
    """Whether a folder is a data set that `musetune annotate` made."""
    return (Path(folder) / MARK).is_file()


def dataset_files(folder: str | Path) -> list[str]:
    """What of a data set is shared: names relative to the folder; where its songs lie is not.

    Raises:
        FileNotFoundError: The folder is no data set, or is not finished.
    """
    folder = Path(folder)
    if not is_dataset(folder) or not (folder / README).is_file():
        raise FileNotFoundError(f"{folder} is no finished data set: musetune annotate makes {MARK} and {README}")
    return sorted(path.relative_to(folder).as_posix() for pattern in PATTERNS for path in folder.glob(pattern))


def dataset_card_to_push(folder: str | Path, license: str | None = None) -> str:
    """The card that is sent: the folder's, with the licence that is given.

    Raises:
        ValueError: No licence is stated, neither here nor there, or two that differ.
    """
    folder = Path(folder)
    text, stated = (folder / README).read_text(encoding="utf-8"), stated_licence(folder)
    if stated is None and license is None:
        raise ValueError(
            f"the manifest of {folder} does not say the licence of every song, so it is not sent: give --license "
            "(license=… in Python), such as cc-by-4.0, if you may share what was heard"
        )
    if license is None or stated == license:
        return text
    if stated is not None and stated != "other":
        raise ValueError(f"{README} in {folder} says license: {stated}, not {license}: change it there")
    from huggingface_hub import DatasetCard

    card = DatasetCard(text, ignore_metadata_errors=True)
    card.data["license"] = license
    return str(card)


def push_dataset(
    folder: str | Path,
    repo_id: str,
    *,
    token: str | None = None,
    revision: str | None = None,
    private: bool | None = None,
    message: str | None = None,
    license: str | None = None,
) -> str:
    """Put a data set of annotations into a data set repository of the Hub, in one commit; a push takes its place.

    Args:
        folder: What `musetune annotate` made.
        repo_id: "owner/name".
        token: With write access; None: HF_TOKEN, or what `hf auth login` left.
        revision: A branch, made where there is none; None: main.
        private: Whether a new repository is private; None: as the account has it.
        message: The commit's.
        license: As the Hub spells it; needed where the manifest does not state one of every song.

    Returns:
        The commit's URL.

    Raises:
        FileNotFoundError: The folder is no finished data set.
        ValueError: Its licence is not known.
        HubError: The Hub cannot be reached or refuses.

    Example:
        >>> from musetune.hub import push_dataset
        >>> push_dataset("annotations", "me/songs", license="cc-by-4.0")  # doctest: +SKIP
        'https://huggingface.co/datasets/me/songs/commit/…'
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    folder, repo_id = Path(folder), check_repo_id(repo_id)
    names = dataset_files(folder)
    card = dataset_card_to_push(folder, license).encode()
    added = [CommitOperationAdd(name, card if name == README else str(folder / name)) for name in names]
    api = HfApi(token=token)
    with explain_errors(repo_id, revision, "push"):
        api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, repo_type="dataset", exist_ok=True)
        there = api.list_repo_files(repo_id, revision=revision, repo_type="dataset")
        ours = [name for name in there if name.startswith(("data/", "latents/"))]
        gone = [CommitOperationDelete(name, is_folder=False) for name in sorted(set(ours) - set(names))]
        summary = message or f"Push {folder.resolve().name} with musetune"
        commit = api.create_commit(
            repo_id, [*gone, *added], commit_message=summary, revision=revision, repo_type="dataset"
        )
        return str(commit.commit_url)
