"""A headless Chromium for tests, driven over its debugging pipe: no port, no driver, no network."""

import base64
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from typing import Any

FOUND = next(
    (p for n in ("chromium", "chromium-browser", "google-chrome", "chrome") if (p := which(n))),
    None,
)
"""Where Chromium is; None where there is none."""

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
_PATIENCE = 60.0


class Page:
    """One tab, and everything that happened in it."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive, self._rest = send, receive, b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        """The next message; events are kept as they pass."""
        end = time.monotonic() + _PATIENCE
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._receive], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError("Chromium does not answer")
            got = os.read(self._receive, 1 << 20)
            if not got:
                raise RuntimeError("Chromium has ended")
            self._rest += got
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self.events.append(message)
        return message

    def open(self, path: Path, fragment: str = "") -> float:
        """Go to a file and wait for all of it; the seconds that took, the first frame included."""
        began, seen = time.perf_counter(), len(self.events)
        self.call("Page.navigate", url=path.as_uri() + fragment)
        while not self.named("Page.loadEventFired", seen):
            self._next()
        self.js("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(1))))")
        return time.perf_counter() - began

    def js(self, expression: str) -> Any:
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def named(self, method: str, since: int = 0) -> list[dict[str, Any]]:
        """Parameters of the events of this name."""
        return [e["params"] for e in self.events[since:] if e["method"] == method]

    def complaints(self) -> list[object]:
        """Everything that a console, a policy or a dialog had to say."""
        names = (
            "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded",
            "Page.javascriptDialogOpening",
        )  # fmt: skip
        return [params for name in names for params in self.named(name)]

    def requests(self) -> list[str]:
        """Addresses asked for, without those that stand in the page itself."""
        asked = (r["request"]["url"] for r in self.named("Network.requestWillBeSent"))
        return [url for url in asked if not url.startswith("data:")]

    def look(self, width: int = 1440, height: int = 900, scheme: str = "light") -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A fresh Chromium with an empty profile in `profile`, and one tab."""
    assert FOUND is not None
    to_read, send = os.pipe()
    receive, to_write = os.pipe()
    # Chromium reads from descriptor 3 and writes to 4
    shell = f'exec "$@" 3<&{to_read} 4>&{to_write}'
    process = subprocess.Popen(
        ["bash", "-c", shell, "-", FOUND, *_FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(to_read, to_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read)
    os.close(to_write)
    try:
        page = Page(send, receive)
        yield page
        with suppress(RuntimeError):
            page._session = None
            page.call("Browser.close")
        process.wait(timeout=20)
    finally:
        process.kill()
        process.wait()
        os.close(send)
        os.close(receive)
