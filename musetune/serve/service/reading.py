"""A request as it comes, JSON or multipart, read into its body and files, and files put where its job finds them.

Of a file's name only its suffix counts, which must be one of those known: no path from a request reaches the file
system.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from musetune.serve.service.jobs import Job
from musetune.serve.service.problems import ProblemError, disk_full, explain
from musetune.serve.service.service import JobService
from musetune.serve.service.tasks import Task
from musetune.serve.service.worker import result_folder, upload_folder

CHUNK = 2**20
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
SOURCES = {  # fields that name a job → kinds of its files that are put beside the new one's, and as what
    "lead_sheet_job": {"plan": "lead_sheet"},
    "arrangement_job": {"song": "arrangement"},
    "source_job": {"audio.wav": "audio", "plan": "source_sheet", "song": "source_song", "latents": "source_latents"},
}
NEEDED = {"lead_sheet_job": ("plan",), "arrangement_job": ("song",), "source_job": ("audio.wav",)}


@asynccontextmanager
async def read_request(
    request: Request, task: Task, most: int
) -> AsyncIterator[tuple[BaseModel, Mapping[str, UploadFile]]]:
    """A context with a request's body and the files that came with it, by the name of their part.

    Args:
        request: As it comes.
        task: What it asks for.
        most: Bytes of a part that is no file.

    Raises:
        ProblemError: The request is none of that task.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" and not task.required:
        yield _parse(task.body, await request.body()), {}
        return
    if kind != "multipart/form-data" or not task.files:
        text = f"Content-Type {kind[:80]!r}: send {' or '.join(media_types(task))}"
        raise ProblemError(415, "media-type", text)
    try:
        form = await request.form(max_files=len(task.files), max_fields=4, max_part_size=most)
    except OSError as error:  # parts larger than a megabyte wait in files of the folder for temporary ones
        raise disk_full(error) from error
    try:
        if unknown := sorted(set(form) - {"request", *task.files}):
            known = ", ".join(["request", *task.files])
            raise ProblemError(422, "invalid-request", f"{unknown[0][:40]!r} is no part of this request: {known}")
        body = _parse(task.body, _text(form, "request") or b"{}")
        files = {name: upload for name in task.files if (upload := _file(form, name)) is not None}
        for name, upload in files.items():
            suffix_of(upload, task.files[name])
        yield body, files
    finally:
        await form.close()


def spool_into(folder: Path) -> None:
    """Let large parts of requests, and all temporary files of this process, lie in a folder, emptied at first: on the
    disk that the service's limits are for, not in a small /tmp.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tempfile.tempdir = str(folder)


def media_types(task: Task) -> list[str]:
    """What a request of a task may be sent as."""
    types = [] if task.required else ["application/json"]
    return [*types, *(["multipart/form-data"] if task.files else [])]


def _parse(model: type[BaseModel], text: bytes) -> BaseModel:
    """A body of a model. Raises ProblemError that names the fields."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        detail, _ = explain(error.errors(include_url=False))
        raise ProblemError(422, "invalid-request", detail) from error


def _text(form: FormData, name: str) -> bytes:
    value = form.get(name, "")
    if not isinstance(value, str):
        raise ProblemError(422, "invalid-request", f"{name}: a text, not a file")
    return value.encode()


def _file(form: FormData, name: str) -> UploadFile | None:
    value = form.get(name)
    if isinstance(value, str):
        raise ProblemError(422, "invalid-request", f"{name}: a file with a name, not a text")
    return value


def suffix_of(upload: UploadFile, known: tuple[str, ...]) -> str:
    """The suffix of an upload's name, one of those known: all that its name decides. Raises ProblemError."""
    suffix = Path(upload.filename or "").suffix.lower()
    if suffix not in known:
        text = f"the file's name ends in {suffix[:20]!r}; it takes {' '.join(dict.fromkeys(known))}"
        raise ProblemError(415, "media-type", text)
    return suffix


async def keep_files(service: JobService, files: Mapping[str, UploadFile], task: Task, job_id: str) -> dict[str, Any]:
    """Write uploads into a job's folder, each under the name of its part.

    Returns:
        Their SHA-256, and the name of the song, which is only shown.
    """
    digests = {}
    for name, upload in files.items():
        suffix = suffix_of(upload, task.files[name])
        digests[name] = await _keep(service, upload, job_id, f"{name}{suffix}")
    song = next((upload.filename for name, upload in files.items() if name in ("file", "audio")), None)
    kept: dict[str, Any] = {"sha256": digests} if digests else {}
    return kept | ({"filename": Path(song).name[:200] or "song"} if song else {})


async def _keep(service: JobService, upload: UploadFile, job_id: str, name: str) -> str:
    """Write an upload into the job's folder; its SHA-256."""
    place, digest = upload_folder(service.settings.folder, job_id), hashlib.sha256()
    try:
        await run_in_threadpool(place.mkdir, parents=True, exist_ok=True)
        with (place / name).open("wb") as file:
            while chunk := await upload.read(CHUNK):
                digest.update(chunk)
                await run_in_threadpool(file.write, chunk)
                service.uploads.keep(len(chunk))
    except OSError as error:
        raise disk_full(error) from error
    return digest.hexdigest()


def link_sources(service: JobService, body: BaseModel, owner: str, job_id: str) -> None:
    """Put the files of earlier jobs that a request names into the new job's folder: they stay as long as it needs them.

    Raises:
        ProblemError: There is no such job of this owner, or it made nothing of that kind.
    """
    place = upload_folder(service.settings.folder, job_id)
    for field, kinds in SOURCES.items():
        name = getattr(body, field, None)
        if name is None:
            continue
        job = service.store.get(name)
        if job is None or job.owner != owner:
            raise ProblemError(422, "no-such-job", f"{field}: there is no job {name}")
        files = made_files(job, field)
        place.mkdir(parents=True, exist_ok=True)
        for kind, stem in kinds.items():
            path = result_folder(service.settings.folder, job.id) / files.get(kind, "")
            if kind not in files:
                continue
            try:
                _link(path, place / f"job-{stem}{path.suffix}")
            except FileNotFoundError as error:
                raise ProblemError(422, "no-such-file", f"{field}: its files are not kept any more") from error
            except OSError as error:
                raise disk_full(error) from error


def _link(path: Path, place: Path) -> None:
    """Give a file a second name, or a copy where its file system knows no second names."""
    try:
        os.link(path, place)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copyfile(path, place)


def made_files(job: Job, field: str) -> Mapping[str, str]:
    """The files of a job that a request names. Raises ProblemError where it did not make what is needed of it."""
    if job.state != "succeeded":
        raise ProblemError(
            422, "not-done", f"{field}: job {job.id} is {job.state}, and has files once it has succeeded"
        )
    files: Mapping[str, str] = (job.result or {})["files"]
    for needed in NEEDED[field]:
        if needed not in files:
            made = ", ".join(sorted({name.partition(".")[0] for name in files}))
            what = {"plan": "lead sheet", "song": "players' notes"}.get(needed, "audio")
            raise ProblemError(422, "no-such-file", f"{field}: job {job.id} made no {what}; it made {made}")
    return files
