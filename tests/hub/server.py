"""A Hub on loopback: the endpoints that huggingface_hub uses for models, over real HTTP, kept in memory.

Files of many bytes go the Git LFS way (batch, upload, verify) and come from another host name, as on the Hub. A test
can make it fail: ``cut_uploads`` and ``cut_downloads`` count the transfers whose connection is to break off in the
middle.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

LARGE = (
    ".safetensors",
    ".parquet",
    ".flac",
    ".wav",
    ".png",
    ".bin",
)  # what .gitattributes of a new repository sends to LFS
LICENCES = {
    "apache-2.0",
    "mit",
    "cc0-1.0",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0",
    "openrail",
    "other",
    "unknown",
}
RELATIONS = {"adapter", "finetune", "merge", "quantized"}
TASKS = {"text-to-audio", "text-to-speech", "text-to-image", "audio-to-audio", "text-generation"}
REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")
NEW = {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"}


@dataclass
class Repo:
    """Commits by id, each a whole tree; branches and tags name them."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, branch: str, files: dict[str, bytes], message: str) -> str:
        told = json.dumps([self.refs.get(branch), message, sorted((k, sha256(v)) for k, v in files.items())])
        oid = hashlib.sha1(told.encode()).hexdigest()
        self.commits[oid], self.refs[branch] = files, oid
        self.messages.append(message)
        return oid


class LoopbackHub(ThreadingHTTPServer):
    """``with LoopbackHub() as hub:`` serves at ``hub.endpoint``. tokens: "write" may all, "read" may only read."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.tokens = {"write": "me", "read": "me"}
        self.cut_uploads = self.cut_downloads = 0
        self.requests: list[str] = []
        self.lock = threading.RLock()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def storage(self) -> str:
        """The same server by another name: where LFS objects are."""
        return f"http://localhost:{self.server_address[1]}"

    def __enter__(self) -> LoopbackHub:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""

    def take(self, what: str) -> bool:
        """Whether this transfer is one of those to cut off."""
        with self.lock:
            left = getattr(self, what)
            setattr(self, what, max(0, left - 1))
            return left > 0


class Refused(Exception):
    def __init__(self, status: int, message: str, code: str = "", **body: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.body = status, code, {"error": message, **body}


class Handler(BaseHTTPRequestHandler):
    server: LoopbackHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self.handle_request()

    do_HEAD = do_POST = do_PUT = do_GET

    def handle_request(self) -> None:
        path = urlsplit(self.path).path
        self.server.requests.append(f"{self.command} {path}")
        upload = self.command == "PUT" and path.startswith("/lfs/")
        if upload and self.server.take("cut_uploads"):
            self.rfile.read1(1024)
            return self.hang_up()
        body = self.read_body()
        try:
            with self.server.lock:
                self.route(path, body)
        except Refused as error:
            headers = {"X-Error-Message": str(error)} | ({"X-Error-Code": error.code} if error.code else {})
            self.answer(error.body, error.status, headers)

    def route(self, path: str, body: bytes) -> None:
        if path.startswith("/lfs/"):
            return self.storage(path.removeprefix("/lfs/"), body)
        user, writes = self.who()
        routes = {
            r"/api/whoami-v2": self.whoami,
            r"/api/repos/create": self.create,
            r"/api/validate-yaml": self.validate,
            r"/api/(?:models|datasets)/(?P<repo>[^/]+/[^/]+)": self.info,
            r"/api/(?:models|datasets)/(?P<repo>[^/]+/[^/]+)/revision/(?P<rev>[^/]+)": self.info,
            r"/api/(?:models|datasets)/(?P<repo>[^/]+/[^/]+)/tree/(?P<rev>[^/]+)": self.tree,
            r"/api/(?:models|datasets)/(?P<repo>[^/]+/[^/]+)/refs": self.refs,
            r"/api/(?:models|datasets)/(?P<repo>[^/]+/[^/]+)/branch/(?P<rev>[^/]+)": self.branch,
            r"/api/(?:models|datasets)/(?P<repo>[^/]+/[^/]+)/preupload/(?P<rev>[^/]+)": self.preupload,
            r"/api/(?:models|datasets)/(?P<repo>[^/]+/[^/]+)/commit/(?P<rev>[^/]+)": self.commit,
            r"(?:/datasets)?/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/(?P<what>batch|verify)": self.lfs,
            r"(?:/datasets)?/(?P<repo>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<file>.+)": self.resolve,
        }
        for pattern, act in routes.items():
            if match := re.fullmatch(pattern, path):
                told = {name: unquote(value) for name, value in match.groupdict().items()}
                if self.command == "POST" and act != self.validate:
                    self.allow(user, writes)
                return act(user=user, body=body, **told)
        raise Refused(404, f"no endpoint {self.command} {path}")

    def who(self) -> tuple[str | None, bool]:
        """Who asks, and whether their token writes."""
        header = self.headers.get("Authorization")
        if header is None:
            return None, False
        token = header.removeprefix("Bearer ")
        if token not in self.server.tokens:
            raise Refused(401, "Invalid credentials in Authorization header")
        return self.server.tokens[token], token == "write"

    def allow(self, user: str | None, writes: bool) -> None:
        if user is None:
            raise Refused(401, "Invalid username or password.")
        if not writes:
            raise Refused(403, "Forbidden: you must use a write token to upload to a repository.")

    def repo(self, name: str, user: str | None) -> Repo:
        """A repository that ``user`` may see; others are "not found", to strangers as 401."""
        found = self.server.repos.get(name)
        if found is None or (found.private and user != name.split("/")[0]):
            raise Refused(401 if user is None else 404, "Repository not found", "RepoNotFound")
        return found

    def files(self, repo: Repo, rev: str) -> tuple[str, dict[str, bytes]]:
        oid = repo.refs.get(rev, rev)
        if oid not in repo.commits:
            raise Refused(404, f"Invalid rev id: {rev}", "RevisionNotFound")
        return oid, repo.commits[oid]

    def whoami(self, user: str | None, body: bytes) -> None:
        if user is None:
            raise Refused(401, "Invalid username or password.")
        self.answer({"type": "user", "name": user, "orgs": [], "auth": {"type": "access_token"}})

    def create(self, user: str, body: bytes) -> None:
        asked = json.loads(body)
        owner = asked.get("organization") or user
        if owner != user:
            raise Refused(403, f"You don't have the rights to create a model under the namespace {owner!r}")
        name = f"{owner}/{asked['name']}"
        url = {"url": f"{self.server.endpoint}/{name}", "name": name, "id": name}
        if name in self.server.repos:
            raise Refused(409, "You already created this model repo", **url)
        repo = self.server.repos[name] = Repo(asked.get("visibility") == "private" or bool(asked.get("private")))
        repo.commit("main", dict(NEW), "initial commit")
        self.answer(url)

    def validate(self, user: str | None, body: bytes) -> None:
        errors = faults_of(json.loads(body)["content"])
        self.answer({"errors": [{"message": e} for e in errors], "warnings": []}, 400 if errors else 200)

    def info(self, user: str | None, body: bytes, repo: str, rev: str = "main") -> None:
        oid, files = self.files(self.repo(repo, user), rev)
        siblings = [{"rfilename": name} for name in sorted(files)]
        self.answer(
            {
                "id": repo,
                "modelId": repo,
                "sha": oid,
                "private": self.server.repos[repo].private,
                "tags": [],
                "siblings": siblings,
            }
        )

    def tree(self, user: str | None, body: bytes, repo: str, rev: str) -> None:
        _, files = self.files(self.repo(repo, user), rev)
        entries = [{"type": "file", "path": n, "size": len(d), "oid": blob(d)} | linked(n, d) for n, d in files.items()]
        self.answer(entries)

    def refs(self, user: str | None, body: bytes, repo: str) -> None:
        refs = self.repo(repo, user).refs.items()
        branches = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": oid} for n, oid in refs]
        self.answer({"branches": branches, "tags": [], "converts": []})

    def branch(self, user: str, body: bytes, repo: str, rev: str) -> None:
        found = self.repo(repo, user)
        if rev in found.refs:
            raise Refused(409, "Reference already exists")
        found.refs[rev] = found.refs["main"]
        self.answer({})

    def preupload(self, user: str, body: bytes, repo: str, rev: str) -> None:
        _, there = self.files(self.repo(repo, user), rev)
        told = []
        for file in json.loads(body)["files"]:
            name, mode = file["path"], "lfs" if file["path"].endswith(LARGE) else "regular"
            known = there.get(name)
            oid = None if known is None else sha256(known) if mode == "lfs" else blob(known)
            told.append({"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.answer({"files": told})

    def commit(self, user: str, body: bytes, repo: str, rev: str) -> None:
        found = self.repo(repo, user)
        files, message = dict(self.files(found, rev)[1]), ""
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                message = value["summary"]
            elif item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                if value["oid"] not in self.server.objects:
                    raise Refused(400, f"LFS pointer of {value['path']} points to nothing that was uploaded")
                files[value["path"]] = self.server.objects[value["oid"]]
            elif item["key"] == "deletedFile":
                del files[value["path"]]
            else:
                raise Refused(400, f"unknown operation {item['key']}")
        oid = found.commit(rev, files, message)
        url = f"{self.server.endpoint}/{repo}/commit/{oid}"
        self.answer({"success": True, "commitOid": oid, "commitUrl": url})

    def lfs(self, user: str, body: bytes, repo: str, what: str) -> None:
        self.repo(repo, user)
        asked = json.loads(body)
        if what == "verify":
            if len(self.server.objects.get(asked["oid"], b"")) != asked["size"]:
                raise Refused(404, "object was not uploaded whole")
            return self.answer({})
        objects = []
        for wanted in asked["objects"]:
            actions = {"upload": {"href": f"{self.server.storage}/lfs/{wanted['oid']}"}}
            actions["verify"] = {"href": f"{self.server.endpoint}/{repo}.git/info/lfs/objects/verify"}
            known = wanted["oid"] in self.server.objects
            objects.append({**wanted, **({} if known else {"actions": actions})})
        self.answer({"transfer": "basic", "objects": objects})

    def storage(self, oid: str, body: bytes) -> None:
        """Where LFS objects are put and got: a host that is not to see tokens."""
        if self.headers.get("Authorization") is not None:
            raise Refused(400, "a token was sent to the storage host")
        if self.command != "PUT":
            return self.send_bytes(self.server.objects[oid], {"ETag": f'"{oid}"'})
        if sha256(body) != oid:
            raise Refused(400, "bytes do not hash to their name")
        self.server.objects[oid] = body
        self.answer({})

    def resolve(self, user: str | None, body: bytes, repo: str, rev: str, file: str) -> None:
        oid, files = self.files(self.repo(repo, user), rev)
        headers = {"X-Repo-Commit": oid}
        if file not in files:
            raise Refused(404, "Entry not found", "EntryNotFound")
        if not file.endswith(LARGE):
            return self.send_bytes(files[file], headers | {"ETag": f'"{blob(files[file])}"'})
        key = sha256(files[file])
        self.server.objects[key] = files[file]
        headers |= {"X-Linked-Etag": f'"{key}"', "X-Linked-Size": str(len(files[file]))}
        self.answer({}, 302, headers | {"Location": f"{self.server.storage}/lfs/{key}"})

    def send_bytes(self, data: bytes, headers: dict[str, str]) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.start(206 if asked else 200, len(data) - start, headers | {"Accept-Ranges": "bytes"})
        if self.command == "HEAD":
            return
        if len(data) > 1024 and self.server.take("cut_downloads"):
            self.wfile.write(data[start : start + 512])
            return self.hang_up()
        self.wfile.write(data[start:])

    def answer(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.start(status, len(data), {"Content-Type": "application/json", **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(data)

    def start(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def hang_up(self) -> None:
        """Breaks the connection off: a reset, with no goodbye."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


def faults_of(content: str) -> list[str]:
    """What the Hub's validation finds wrong with a model card's front matter."""
    match = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
    if match is None:
        return ["no YAML front matter"]
    data = yaml.safe_load(match[1])
    known = {"license": LICENCES, "pipeline_tag": TASKS, "base_model_relation": RELATIONS}
    wrong = [key for key, values in known.items() if key in data and data[key] not in values]
    faults = [f'"{key}" must be one of {sorted(known[key])}' for key in wrong]
    bases = data.get("base_model", [])
    for base in [bases] if isinstance(bases, str) else bases:
        if not REPO_ID.fullmatch(base):
            faults.append(f'"base_model" with value {base!r} is not valid: it must be a repository of the Hub')
    if not all(isinstance(tag, str) for tag in data.get("tags", [])):
        faults.append('"tags" must be an array of strings')
    for widget in data.get("widget", []):
        if not isinstance(widget.get("output", {}).get("url", ""), str):
            faults.append('"widget.output.url" must be a string')
    return faults


def linked(name: str, data: bytes) -> dict[str, Any]:
    return {"lfs": {"oid": sha256(data), "size": len(data), "pointerSize": 130}} if name.endswith(LARGE) else {}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def blob(data: bytes) -> str:
    """Git's id of a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
