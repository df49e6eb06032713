"""Push and pull against a Hub on loopback.

What arrives is what was sent, and what fails says why and leaves nothing behind.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from diffusers import DiffusionPipeline
from huggingface_hub import HfApi, constants, scan_cache_dir
from server import LoopbackHub
from small_pipe import genre_folder, make_pipe, music, play, quiet

from musetune import MuseTunePipeline
from musetune.audio import load_audio
from musetune.hub import HubError, files_to_push, list_adapters, pull, push, shareable
from musetune.hub.transfer import check_cache
from musetune.symbols.remarks import collected

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"
)  # huggingface_hub warns of its own upload
Make = Callable[..., Path]
REPO = "me/musetune-jazz"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_push_then_pull_is_the_same_folder_and_a_card(hub: LoopbackHub, make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder()
    (folder / ".DS_Store").write_bytes(b"\0")
    url = push(folder, REPO, message="first")
    repo = hub.repos[REPO]
    assert url == f"{hub.endpoint}/{REPO}/commit/{repo.refs['main']}"
    assert repo.messages == ["initial commit", "first"]
    assert not (folder / "README.md").exists()
    (folder / ".DS_Store").unlink()
    out = pull(REPO, out=tmp_path / "new" / "jazz")
    arrived = contents(out)
    assert f'adapter="{REPO}"' in arrived.pop("README.md").decode()
    assert arrived == contents(folder)
    assert [path.name for path in out.parent.iterdir()] == ["jazz"]


@pytest.mark.slow
def test_pull_into_an_empty_cache_plays_the_same_audio(hub: LoopbackHub, tiny_base: Path, tmp_path: Path) -> None:
    pipe = make_pipe(tiny_base)
    push(pipe.save_adapter(tmp_path / "theory"), "me/theory", license="mit")
    genre_folder(pipe.unet, tmp_path / "jazz", seed=11)
    theory_alone = music(pipe)
    pipe.load_adapter(tmp_path / "jazz")
    theirs = music(pipe)
    assert not np.array_equal(theirs, theory_alone)
    url = pipe.push_adapter_to_hub(REPO, license="mit")
    assert hub.repos[REPO].messages[-1] == "Push jazz with musetune"
    again = quiet(MuseTunePipeline.from_pretrained(tiny_base, adapter=pull("me/theory", cache_dir=tmp_path / "empty")))
    assert np.array_equal(music(again), theory_alone)
    again.load_adapter(pull(REPO, cache_dir=tmp_path / "empty"))
    assert np.array_equal(music(again), theirs)
    direct = quiet(MuseTunePipeline.from_pretrained(tiny_base, adapter="me/theory"))
    direct.load_adapter(REPO, revision=url.rsplit("/", 1)[1])
    assert np.array_equal(music(direct), theirs)


@pytest.mark.slow
def test_the_cards_snippet_runs(
    hub: LoopbackHub, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands in the card that push made, but for where the toy base lies and how long it plays."""
    make_pipe(tiny_base).push_adapter_to_hub("me/mine", license="mit")
    snippet = (pull("me/mine") / "README.md").read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(DiffusionPipeline, "progress_bar", lambda self, steps: steps)
    place = snippet.replace(f'"{tiny_base.name}"', repr(str(tiny_base)))
    assert place != snippet
    exec(place.replace("duration_seconds=8", "duration_seconds=2, num_inference_steps=2"))
    assert len(load_audio("out.wav")[0]) == 32000


@pytest.mark.slow
def test_a_whole_pipeline_goes_too(hub: LoopbackHub, tiny_base: Path, tmp_path: Path) -> None:
    pipe = make_pipe(tiny_base)
    pipe.load_upsampler()
    pipe.save_pretrained(tmp_path / "whole")
    push(tmp_path / "whole", "me/whole")
    out = pull("me/whole", out=tmp_path / "pulled")
    assert contents(out) == contents(tmp_path / "whole")
    assert any(name.startswith("upsampler/") and name.endswith(".safetensors") for name in contents(out))
    again = quiet(MuseTunePipeline.from_pretrained(out))
    assert np.array_equal(play(again, stereo=True).audios, play(pipe, stereo=True).audios)


def test_a_second_push_replaces_weights_and_leaves_other_files(hub: LoopbackHub, make_folder: Make) -> None:
    first, second = make_folder("a", kind="theory"), make_folder("b")
    push(first, REPO)
    HfApi().upload_file(path_or_fileobj=b"mine", path_in_repo="notes.txt", repo_id=REPO)
    push(second, REPO)
    tree = hub.repos[REPO].commits[hub.repos[REPO].refs["main"]]
    assert {"notes.txt", "adapter_model.safetensors"} <= set(tree)
    assert not {"config.json", "diffusion_pytorch_model.safetensors"} & set(tree)


def test_a_revision_stays_what_it_was(hub: LoopbackHub, make_folder: Make) -> None:
    push(make_folder("first", genre="jazz"), REPO, revision="v1")
    old = push(make_folder("second", genre="blues"), REPO).rsplit("/", 1)[1]
    push(make_folder("third", genre="rock"), REPO)
    told = {rev: json.loads((pull(REPO, revision=rev) / "musetune.json").read_text()) for rev in ("v1", old, None)}
    assert [told[rev]["genre"] for rev in ("v1", old, None)] == ["jazz", "blues", "rock"]
    with pytest.raises(HubError, match="me/musetune-jazz has no revision 'v9': give a branch, a tag or a commit"):
        pull(REPO, revision="v9")


def test_private_is_for_its_owner(hub: LoopbackHub, make_folder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    push(make_folder(), REPO, private=True)
    assert hub.repos[REPO].private
    assert pull(REPO, token="read").is_dir()
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="no repository me/musetune-jazz"):
        pull(REPO, cache_dir=Path(constants.HF_HUB_CACHE) / "other")


def test_wrong_tokens(hub: LoopbackHub, make_folder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder()
    with pytest.raises(
        HubError, match=r"does not accept the token \(401\).*/settings/tokens, then run `hf auth login`"
    ):
        push(folder, REPO, token="stolen")
    with pytest.raises(HubError, match=r"may not push me/musetune-jazz \(403\).*you must use a write token"):
        push(folder, REPO, token="read")
    with pytest.raises(HubError, match=r"may not push you/jazz \(403\).*under the namespace 'you'"):
        push(folder, "you/jazz")
    with pytest.raises(HubError, match=r"does not accept the token \(401\)"):
        pull(REPO, token="stolen")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "nowhere")
    with pytest.raises(HubError, match=r"wants to know who you are \(401\): run `hf auth login`"):
        push(folder, REPO)
    assert not hub.repos


def test_missing_repository(hub: LoopbackHub, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="no repository me/nothing at http"):
        pull("me/nothing", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("repo_id", ["jazz", "https://huggingface.co/me/jazz", "me/ja zz", "a/b/c", ""])
def test_what_is_no_repository(repo_id: str, make_folder: Make) -> None:
    with pytest.raises(ValueError, match="repo_id="):
        push(make_folder(), repo_id)
    with pytest.raises(ValueError, match="repo_id="):
        pull(repo_id)


def test_an_upload_that_breaks_off_commits_nothing_and_a_retry_works(
    hub: LoopbackHub, make_folder: Make, tmp_path: Path
) -> None:
    folder = make_folder()
    hub.cut_uploads = 1_000_000
    with pytest.raises(HubError, match=r"connection to http\S+ failed \(.*\), and nothing was committed: try again"):
        push(folder, REPO)
    assert hub.repos[REPO].messages == ["initial commit"]
    assert not hub.objects
    hub.cut_uploads = 2  # huggingface_hub itself tries again
    push(folder, REPO)
    assert contents(pull(REPO, out=tmp_path / "out")).keys() == contents(folder).keys() | {"README.md"}


def test_a_download_that_breaks_off_leaves_nothing_and_a_retry_works(
    hub: LoopbackHub, make_folder: Make, tmp_path: Path
) -> None:
    push(make_folder(), REPO)
    hub.cut_downloads = 1_000_000
    with pytest.raises(
        HubError, match=r"failed \(.*\), and the cache has not the whole of me/musetune-jazz: try again"
    ):
        pull(REPO, out=tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]
    with pytest.raises(HubError, match="the cache has not the whole of"):
        pull(REPO, local_files_only=True)
    hub.cut_downloads = 0
    assert (pull(REPO, out=tmp_path / "out") / "adapter_model.safetensors").is_file()


def test_offline_with_a_warm_cache(hub: LoopbackHub, make_folder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder()
    push(folder, REPO)
    warm = pull(REPO)
    asked = len(hub.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert pull(REPO) == warm
    assert contents(warm).items() >= contents(folder).items()
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set and the cache has not the whole of me/other: unset it"):
        pull("me/other")
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set: unset it to push"):
        push(folder, REPO)
    assert len(hub.requests) == asked


def test_a_hub_that_is_away(hub: LoopbackHub, make_folder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder()
    push(folder, REPO)
    warm = pull(REPO)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert pull(REPO) == warm
    with pytest.raises(HubError, match=r"connection to http://127\.0\.0\.1:9 failed"):
        pull("me/other")
    with pytest.raises(HubError, match=r"connection to http://127\.0\.0\.1:9 failed .* nothing was committed"):
        push(folder, REPO)


def test_a_folder_with_files_is_not_overwritten(hub: LoopbackHub, make_folder: Make, tmp_path: Path) -> None:
    push(make_folder(), REPO)
    (tmp_path / "empty").mkdir()
    assert pull(REPO, out=tmp_path / "empty") == tmp_path / "empty"
    with pytest.raises(FileExistsError, match="not empty: name a new folder"):
        pull(REPO, out=tmp_path / "empty")


def torch_file() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("weights/data.pkl", pickle.dumps([1]))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("weights.bin", b"x", r"weights\.bin in .* can hold a pickle"),
        ("lora/old.ckpt", b"x", r"lora/old\.ckpt in .* can hold a pickle"),
        ("run.py", b"1", r"run\.py in .* is none of \.safetensors, \.json"),
        ("extra.safetensors", torch_file(), r"extra\.safetensors is a pickle"),
        ("extra.safetensors", pickle.dumps([1], 4), r"extra\.safetensors is a pickle"),
        ("extra.safetensors", b"not tensors at all", r"extra\.safetensors is not what its name says, safetensors"),
        ("more.flac", pickle.dumps([1], 2), r"more\.flac is a pickle"),
        ("more.png", b"GIF89a", r"more\.png is not what its name says, png"),
        ("more.json", b"{", r"more\.json is not what its name says, json"),
        ("README.md", b"\xff\xfe\xff", r"README\.md is not what its name says, md"),
        ("README.md", b"---\nlicense: mine\n---\n", r"Invalid metadata in README\.md"),
    ],
)
def test_what_is_not_shared(hub: LoopbackHub, make_folder: Make, name: str, data: bytes, message: str) -> None:
    folder = make_folder()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    with pytest.raises(ValueError, match=message):
        push(folder, REPO)
    assert not hub.objects


def test_a_length_that_looks_like_a_pickle_is_none(make_folder: Make) -> None:
    """A safetensors file begins with the length of its header, little-endian: 640 is b"\\x80\\x02"."""
    folder = make_folder()
    header = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).ljust(640).encode()
    (folder / "more.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert (folder / "more.safetensors").read_bytes().startswith(b"\x80\x02")
    assert "more.safetensors" in shareable(folder)


def test_what_others_put_there_is_checked_too(hub: LoopbackHub, make_folder: Make, tmp_path: Path) -> None:
    push(make_folder(), REPO)
    api = HfApi()
    api.upload_file(path_or_fileobj=torch_file(), path_in_repo="pytorch_model.bin", repo_id=REPO)
    api.upload_file(path_or_fileobj=b"import os", path_in_repo="pipeline.py", repo_id=REPO)
    assert not {"pytorch_model.bin", "pipeline.py"} & contents(pull(REPO, out=tmp_path / "out")).keys()
    api.upload_file(path_or_fileobj=torch_file(), path_in_repo="adapter_model.safetensors", repo_id=REPO)
    with pytest.raises(ValueError, match=r"me/musetune-jazz is not used: adapter_model\.safetensors is a pickle"):
        pull(REPO, out=tmp_path / "bad")
    assert not (tmp_path / "bad").exists()
    api.create_repo("me/words")
    with pytest.raises(ValueError, match="me/words holds no adapter, or none in safetensors"):
        pull("me/words")


def test_no_folder(hub: LoopbackHub, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder"):
        push(tmp_path / "nowhere", REPO)
    with pytest.raises(ValueError, match=r"holds no adapter: that is config\.json with diffusion_pytorch_model"):
        push(tmp_path, REPO)


def test_what_is_at_hand(hub: LoopbackHub, make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder("shelf/jazz")
    make_folder("shelf/bare", kind="theory", genre=None)
    (tmp_path / "shelf" / "bare" / "results.json").unlink()
    push(folder, REPO)
    pull(REPO)
    assert len(scan_cache_dir(constants.HF_HUB_CACHE).repos) == 1
    found = {
        (one.source, one.name): one for one in list_adapters([tmp_path / "shelf"], cache_dir=constants.HF_HUB_CACHE)
    }
    assert ("bundled", "theory") in found
    jazz = found["cache", REPO]
    assert (jazz.kind, jazz.genre, jazz.base, jazz.parameters) == ("lora", "jazz", "nano", 32)
    assert jazz.mb == pytest.approx((folder / "adapter_model.safetensors").stat().st_size / 1e6, abs=1e-3)
    assert jazz.adherence == {"majmin": 0.851, "beat_f": 0.942}
    assert found["folder", "jazz"].folder == str(folder)
    bare = found["folder", "bare"]
    assert (bare.kind, bare.genre, bare.adherence) == ("theory", None, {"majmin": None, "beat_f": None})
    with pytest.raises(FileNotFoundError, match="no folder"):
        list_adapters([tmp_path / "nowhere"])


def test_a_damaged_adapter_is_named_and_the_others_are_listed(
    hub: LoopbackHub, make_folder: Make, tmp_path: Path
) -> None:
    push(make_folder("shelf/jazz"), REPO)
    for name in ("shelf/torn", "shelf/rock"):
        make_folder(name)
    pull(REPO)
    (cached,) = (tmp_path / "cache").rglob("snapshots/*/adapter_model.safetensors")
    cached.unlink()
    cached.write_bytes(b"torn")
    torn = tmp_path / "shelf" / "torn"
    (torn / "musetune.json").write_text("{")
    with collected() as said:
        found = list_adapters([tmp_path / "shelf"], cache_dir=constants.HF_HUB_CACHE)
    assert {one.name for one in found} == {"theory", "jazz", "rock"} | {
        one.name for one in found if one.source == "bundled"
    }
    assert "torn" not in [one.name for one in found]
    assert len(said) == 2
    assert said[0].startswith(f"the adapter {REPO} (cache) is damaged and left out: ")
    assert said[1].startswith("the adapter torn (folder) is damaged and left out: ")
    assert str(torn / "musetune.json") in said[1]
    with pytest.raises(ValueError, match=r"musetune\.json"):
        list_adapters([torn])


@pytest.mark.parametrize("name", ["README.md", "notes.md", "lora", "training.json"])
def test_links_are_not_followed(hub: LoopbackHub, make_folder: Make, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret"
    if name == "lora":
        secret.mkdir()
        (secret / "training.json").write_text("{}")
    else:
        secret.write_text("{}")
    folder = make_folder()
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(secret)
    with pytest.raises(ValueError, match=rf"{name} in .* is a link: put a copy"):
        push(folder, REPO)
    assert not hub.repos


def test_a_pipe_in_the_folder_does_not_hang(hub: LoopbackHub, make_folder: Make) -> None:
    folder = make_folder()
    os.mkfifo(folder / "more.json")
    with pytest.raises(ValueError, match=r"more\.json in .* is neither a file nor a folder"):
        push(folder, REPO)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("token.json", "{}", r"token\.json is called as secrets are"),
        ("tokens.json", "{}", r"tokens\.json is called as secrets are"),
        ("lora/aws_credentials.json", "{}", "is called as secrets are"),
        ("api-key.md", "x", "is called as secrets are"),
        (
            "README.md",
            "my token is hf_" + "Ab1" * 12,
            r"README\.md holds what looks like a token of the Hugging Face Hub",
        ),
        ("training.json", '{"argv": "ghp_' + "a1" * 18 + '"}', "a token of GitHub"),
        ("kaggle.json", "{}", "is called as secrets are"),
        ("notes.md", "sk-proj-" + "a1_" * 12, "a key of OpenAI"),
        ("notes.md", "-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
    ],
)
def test_secrets_are_refused(hub: LoopbackHub, make_folder: Make, name: str, text: str, message: str) -> None:
    folder = make_folder()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        push(folder, REPO)
    assert not hub.repos


def test_tokenizers_are_no_secrets(tiny_base: Path) -> None:
    names = files_to_push(tiny_base)
    assert {"tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"} <= set(names)
    assert "README.md" not in names  # a pipeline's folder gets no adapter's card


def test_the_list_is_what_is_pushed(hub: LoopbackHub, make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder()
    names = files_to_push(folder)
    push(folder, REPO)
    assert contents(pull(REPO, out=tmp_path / "out")).keys() == set(names)
    assert names[-1] == "README.md"
    assert not hub.repos.keys() - {REPO}


def test_what_the_project_ships_can_be_pushed() -> None:
    bundled = [one.folder for one in list_adapters() if one.source == "bundled"]
    assert len(bundled) > 5
    for folder in bundled:
        assert len(files_to_push(folder)) >= 3


def test_a_hub_that_is_away_is_asked_once(hub: LoopbackHub, make_folder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    push(make_folder(), REPO)
    warm = pull(REPO)
    asked: list[str] = []
    session = type("Session", (), {"head": lambda self, url, **options: asked.append(url) or refuse()})
    monkeypatch.setattr("huggingface_hub.utils.get_session", session)
    before = len(hub.requests)
    assert pull(REPO) == warm
    assert check_cache(REPO, "README.md") == {"local_files_only": True}
    with pytest.raises(
        HubError, match=r"connection to http://127\.0\.0\.1:\d+ failed .*nobody answers.*the whole of me/b"
    ):
        check_cache("me/base", "model_index.json")
    with pytest.raises(HubError, match="nobody answers"):
        MuseTunePipeline.from_pretrained("me/base")
    with pytest.raises(HubError, match="nobody answers"):
        pull("me/other")
    assert asked == [hub.endpoint] * 5
    assert len(hub.requests) == before


def refuse() -> None:
    raise ConnectionError("nobody answers")


def test_a_hub_that_answers_is_left_to_huggingface_hub(hub: LoopbackHub) -> None:
    assert check_cache("me/base", "model_index.json") == {}


def test_offline_a_base_that_is_not_in_the_cache_is_named(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set and the cache has not the whole of me/base: unset it"):
        MuseTunePipeline.from_pretrained("me/base")
    assert not hub.requests
