# SPDX-License-Identifier: Apache-2.0
"""RemoteMonitor."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
import warnings
from typing import Any

import numpy as np

from nyala.callbacks.callback import Callback, Logs
from nyala.core.errors import ArgumentError

TIMEOUT = 10.0  # seconds


class RemoteMonitor(Callback):
    """Send the logs of each epoch to a server, by HTTP POST. A server that does not answer is warned about, and training goes on.

    Args:
        root: URL of the server, http or https.
        path: on it.
        field: of the form that holds the logs as JSON.
        headers: to send along.
        send_as_json: send the logs as the body, not in a form.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: dict[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        if urllib.parse.urlsplit(root).scheme not in ("http", "https"):
            raise ArgumentError("RemoteMonitor(root)", need="an http or https URL", got=repr(root))
        self.root, self.path, self.field, self.headers, self.send_as_json = root, path, field, headers, send_as_json

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        text = json.dumps({"epoch": epoch, **{name: _plain(value) for name, value in (logs or {}).items()}})
        body = text if self.send_as_json else urllib.parse.urlencode({self.field: text})
        kind = "application/json" if self.send_as_json else "application/x-www-form-urlencoded"
        request = urllib.request.Request(self.root + self.path, body.encode(), {"Content-Type": kind, **(self.headers or {})})
        try:
            urllib.request.urlopen(request, timeout=TIMEOUT).close()
        except OSError as error:  # URLError is one
            warnings.warn(f"RemoteMonitor could not send the logs of epoch {epoch} to {self.root}: {error}", stacklevel=2)


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist() if hasattr(value, "dtype") or isinstance(value, (list, tuple)) else value
