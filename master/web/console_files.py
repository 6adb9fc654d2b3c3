"""The files of the console: read once, compressed once, and served from memory.

The page itself is revalidated at each visit. Every other file has the hash of all of them in its
path, so that browsers keep it for ever and never mix two versions.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from posixpath import normpath

from aiohttp import web

from master.errors import Missing
from master.web.compression import LEAST_BYTES, choose

FOLDER = Path(__file__).parent / "console"
LINK_FOLDER = Path(__file__).parent / "l"
"""The page of login links."""
KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".json": "application/json",
}
PAGE = "index.html"
START = re.compile(r'<script type="module" src="\{files\}/([^"]+)"')
"""The module that a page starts with."""
IMPORTED = re.compile(r'\b(?:from|import) "(\.{1,2}/[^"]+)"')
"""A static import of a module of ours; one that waits until it is needed is written `import(`."""
IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)
POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'self'; img-src {images}; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), clipboard-write=(self)",
}
FILE_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is sent: plain, and compressed with gzip if that is worth it."""

    kind: str
    content: bytes
    packed: bytes | None
    etag: str

    def answer(self, request: web.Request, headers: Mapping[str, str]) -> web.Response:
        """Return the file, or 304 for a browser that has it already."""
        known = {"ETag": self.etag, "Vary": "Accept-Encoding", **headers}
        sent = request.headers.get("If-None-Match", "")
        if self.etag in (one.strip().removeprefix("W/") for one in sent.split(",")):
            return web.Response(status=304, headers=known)
        if self.packed is not None and choose(request.headers) == "gzip":
            known["Content-Encoding"] = "gzip"
            return web.Response(
                body=self.packed, content_type=self.kind, charset="utf-8", headers=known
            )
        return web.Response(
            body=self.content, content_type=self.kind, charset="utf-8", headers=known
        )


class ConsoleFiles:
    """Answers the address of a page, such as `/console/`, and the files under it."""

    def __init__(self, folder: Path = FOLDER) -> None:
        found = {
            str(path.relative_to(folder).as_posix()): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.suffix in KINDS
        }
        content = hashlib.sha256()
        for name, one in found.items():
            content.update(f"{name} {len(one)} ".encode() + one)
        self.version = content.hexdigest()[:16]
        modules = "\n".join(
            f'<link rel="modulepreload" href="{{files}}/{name}">'
            for name in _list_first_modules(found)
        )  # else a browser learns of each module only from the one that imports it
        page = found.pop(PAGE).decode().replace("{preload}", modules)
        page = page.replace("{files}", f"files/{self.version}")
        self._page = _make_file(PAGE, page.encode())
        self._files = {name: _make_file(name, one) for name, one in found.items()}
        inline = hash_import_map(page)
        self._policy = POLICY.format(
            scripts=f"'self' '{inline}'" if inline else "'self'",
            images="'self' data:" if folder == FOLDER else "'self'",
        )
        self._redirect = f"{folder.name}/"

    async def show_page(self, request: web.Request) -> web.Response:
        """Return the page."""
        headers = {**PAGE_HEADERS, "Content-Security-Policy": self._policy}
        return self._page.answer(request, headers)

    async def redirect(self, request: web.Request) -> web.Response:
        """Send a browser to the page; the address is relative, because a proxy may add a prefix."""
        return web.Response(status=308, headers={"Location": self._redirect})

    async def show_file(self, request: web.Request) -> web.Response:
        """Return a file of this version. Errors: Missing."""
        file = self._files.get(request.match_info["name"])
        if file is None or request.match_info["version"] != self.version:
            raise Missing("There is no such file; load the page anew.")
        return file.answer(request, FILE_HEADERS)


@lru_cache(maxsize=1)
def load_files() -> ConsoleFiles:
    """Return the console's files, which are the same for every application of a process."""
    return ConsoleFiles()


@lru_cache(maxsize=1)
def load_link_files() -> ConsoleFiles:
    """Return the files of the page of login links."""
    return ConsoleFiles(LINK_FOLDER)


def _list_first_modules(files: Mapping[str, bytes]) -> list[str]:
    """Return the modules that the page starts with: not those that it imports when needed."""
    found = {name for name in files if name.endswith(".mjs") or name.startswith("vendor/socket.io")}
    waiting = START.findall(files[PAGE].decode())
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            folder = PurePosixPath(name).parent.as_posix()
            named = IMPORTED.findall(files[name].decode())
            waiting += [normpath(f"{folder}/{one}") for one in named]
    return sorted(found)


def hash_import_map(page: str) -> str | None:
    """Return the hash by which the policy allows the page's only inline script, if it has one."""
    found = IMPORT_MAP.search(page)
    if found is None:
        return None
    digest = hashlib.sha256(found[1].encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _make_file(name: str, content: bytes) -> File:
    packed = gzip.compress(content, 9, mtime=0) if len(content) > LEAST_BYTES else None
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return File(KINDS[Path(name).suffix], content, packed, etag)
