"""A page in headless Chromium that is clicked, asked and photographed, over the pipe of its DevTools protocol."""

import json
import os
import shutil
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    *("--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--window-size=1440,900", "--remote-debugging-pipe"),
)

ON_3_AND_4 = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])"""  # where Chromium looks for its pipes; `sh` knows no `3<&12`


class ChromiumPage:
    """A page; `ask` evaluates JavaScript in it."""

    def __init__(self, to: int, answers: int) -> None:
        """Open an empty page over the two ends of the pipe."""
        self._to, self._answers, self._rest, self._number = to, answers, b"", 0
        self._session: dict[str, str] = {}
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        attached = self.command("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}

    def command(self, method: str, **values: object) -> dict[str, Any]:
        """The answer to one command of the protocol."""
        self._number += 1
        sent = {"id": self._number, "method": method, "params": values, **self._session}
        os.write(self._to, json.dumps(sent).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                came = os.read(self._answers, 1 << 20)
                assert came, "Chromium has ended; its last lines are in chromium.txt beside its profile"
                self._rest += came
            line, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(line)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def ask(self, script: str) -> Any:
        """The value of an expression."""
        return self.command("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def text(self) -> str:
        """The visible text of the page."""
        return self.ask("document.body ? document.body.innerText : ''") or ""

    def wait_for(self, words: str, seconds: float = 180) -> None:
        """Wait until the page shows the words."""
        until = time.monotonic() + seconds
        while words.lower() not in self.text().lower():
            assert time.monotonic() < until, f"the page does not show {words!r} but: {self.text()}"
            time.sleep(0.5)

    def click(self, words: str, times: int = 1) -> None:
        """Click the smallest element that shows exactly these words."""
        found = self.ask(
            f"""(() => {{ const all = [...document.querySelectorAll("*")].filter(
              one => one.innerText && one.innerText.trim() === {json.dumps(words)} && one.getClientRects().length);
              if (!all.length) return null; const box = all.at(-1).getBoundingClientRect();
              return [box.x + box.width / 2, box.y + box.height / 2]; }})()"""
        )
        assert found, f"the page has no {words!r} but: {self.text()}"
        for count in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                place = {"x": found[0], "y": found[1], "button": "left", "clickCount": count}
                self.command("Input.dispatchMouseEvent", type=kind, **place)

    def photograph(self, file: Path) -> None:
        """Write what it looks like as PNG."""
        file.write_bytes(b64decode(self.command("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def chromium_page(profile: Path) -> Iterator[ChromiumPage | None]:
    """An empty page; None where Chromium is not installed."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        yield None
        return
    (read, to), (answers, write) = os.pipe(), os.pipe()
    started = [sys.executable, "-c", ON_3_AND_4, str(read), str(write), program, *FLAGS, f"--user-data-dir={profile}"]
    with (profile.parent / "chromium.txt").open("wb") as log:
        running = subprocess.Popen(started, pass_fds=(read, write), stderr=log)
    os.close(read)  # the ends of Chromium alone, so that its end is seen
    os.close(write)
    try:
        yield ChromiumPage(to, answers)
    finally:
        running.kill()
        running.wait()
        os.close(to)
        os.close(answers)
