"""A headless Chromium driven over its DevTools protocol, with nothing but ``websocket-client``
(which JupyterLab brings).
"""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

import websocket

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def installed() -> str | None:
    """The Chromium on this machine's path, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One page of a fresh browser; a context manager that ends the browser it started."""

    def __init__(self, width: int = 1440, height: int = 1000):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command = [installed(), *FLAGS, f"--user-data-dir={self.profile.name}", "about:blank"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        port_file = Path(self.profile.name) / "DevToolsActivePort"
        until(
            lambda: port_file.exists() and port_file.read_text().strip(), "Chromium's DevTools port"
        )
        port = port_file.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            page = next(target for target in json.load(answer) if target["type"] == "page")
        self.socket = websocket.create_connection(page["webSocketDebuggerUrl"], timeout=60)
        self.count = 0
        self.size(width, height)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.shot(Path("failed.png"))
            print("what the browser showed is in failed.png")
        self.socket.close()
        self.process.terminate()
        self.process.wait(20)
        self.profile.cleanup()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One DevTools command; an error it answers is raised."""
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while (message := json.loads(self.socket.recv())).get("id") != self.count:
            pass  # events
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    def js(self, expression: str) -> Any:
        """The value of a JavaScript expression on the page."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = 60) -> Any:
        """Wait until a JavaScript expression is true."""
        return until(lambda: self.js(expression), expression, seconds)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def size(self, width: int, height: int) -> None:
        phone = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )

    def click(self, element: str) -> None:
        """A real mouse click in the middle of an element (a JavaScript expression)."""
        self.js(f"({element}).scrollIntoView({{block: 'center'}})")
        time.sleep(0.2)
        x, y = self.js(
            f"(r => [r.x + r.width / 2, r.y + r.height / 2])(({element}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, element: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag the mouse within an element, between places given as shares of its sides."""
        self.js(f"({element}).scrollIntoView({{block: 'center'}})")
        time.sleep(0.2)
        left, top, width, height = self.js(
            f"(r => [r.x, r.y, r.width, r.height])(({element}).getBoundingClientRect())"
        )
        places = [(left + x * width, top + y * height) for x, y in (start, end)]
        (x0, y0), (x1, y1) = places
        for kind, x, y in (
            ("mousePressed", x0, y0),
            ("mouseMoved", (x0 + x1) / 2, (y0 + y1) / 2),
            ("mouseMoved", x1, y1),
            ("mouseReleased", x1, y1),
        ):
            held = {"button": "left", "buttons": 1, "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def press(self, key: str, code: int) -> None:
        """One key, down and up."""
        more = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call(
            "Input.dispatchKeyEvent", type="keyDown", text="\r" if key == "Enter" else "", **more
        )
        self.call("Input.dispatchKeyEvent", type="keyUp", **more)

    def shot(self, path: Path, whole: bool = False) -> None:
        """A PNG of what is seen, or of the whole page."""
        png = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(png))


def until(true: Any, what: str, seconds: float = 60) -> Any:
    """Ask until the answer is true, at most so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := true():
            return answer
        time.sleep(0.15)
    raise TimeoutError(f"waited {seconds:.0f} s for {what}")
