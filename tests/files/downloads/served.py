# SPDX-License-Identifier: Apache-2.0
"""A server on this machine that knows ranges and does what a test plans, processes that download from it, and what is left beside a file."""

import contextlib
import hashlib
import http.server
import json
import subprocess
import sys
import time

import numpy as np

from tests.files.test_downloads import files

BODY = np.random.default_rng(7).bytes(1_000_003)
OTHER = np.random.default_rng(8).bytes(1_000_003)
SHA, OTHER_SHA = hashlib.sha256(BODY).hexdigest(), hashlib.sha256(OTHER).hexdigest()
CHANGED = "Sat, 01 Jan 2022 00:00:00 GMT"


class Server(http.server.BaseHTTPRequestHandler):
    """Answers as it should, but for what the plan says of each request in turn: how many bytes to send, or a function that answers instead."""

    def do_GET(self):
        self.asked.append((self.headers["Range"], self.headers["If-Range"]))
        step = self.plan.pop(0) if self.plan else None
        if callable(step):
            step(self)
        else:
            self.answer(cut=step)

    def answer(self, cut=None, **changed):
        """The rest that was asked for, if it is still of this version, else all; changed headers, None to leave one out."""
        tag = self.tags.get("ETag", "")
        validator = tag if tag.startswith('"') else self.tags.get("Last-Modified")
        start = 0
        if self.headers["Range"] and self.headers["If-Range"] in (None, validator):
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        headers = {"Content-Length": len(self.body) - start, **self.tags}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
        headers |= {key.replace("_", "-"): value for key, value in changed.items()}
        self.raw(206 if start else 200, self.body[start:][:cut], **headers)

    def raw(self, status, content, **headers):
        self.sent.append(len(content))  # before the other side knows anything, and could ask again
        self.send_response(status)
        for key, value in headers.items():
            if value is not None:
                self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


def key(origin, digest=None):
    return hashlib.sha256(json.dumps([origin, "sha256", digest]).encode()).hexdigest()


def whole(path, body=BODY):
    """The file is right, and nothing else is in its folder."""
    assert path.read_bytes() == body
    return files(path.parent) == [path.name]


FETCH = """
import sys
from nyala import utils
from nyala.files import transfers
transfers.FLUSH = -1
utils.get_file(origin=sys.argv[1], cache_dir=sys.argv[2], cache_subdir="", file_hash=sys.argv[3] if len(sys.argv) > 3 else None)
"""


def start(*arguments):
    return subprocess.Popen([sys.executable, "-c", FETCH, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(true, seconds=120):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def noted(folder):
    """How many bytes the note of a part says there are."""
    for note in folder.glob(".x.bin.*.json"):
        with contextlib.suppress(ValueError):  # when it is written at this moment
            return json.loads(note.read_bytes())["size"]
    return 0


def held(gate, size):
    def step(handler):
        handler.answer(cut=size)
        handler.wfile.flush()
        gate.wait(200)

    return step
