"""The SNS story: members post, whoever subscribed to them hears of it by webhook."""

import re
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass

from .stack import Failed, Stack, request, say, until

SETTLE_SECONDS = 240


@dataclass(frozen=True)
class Count:
    acknowledged: int
    committed: int
    subscribers: int
    lost: int
    in_doubt: int
    repeated: int


class Sns:
    def __init__(self, stack: Stack):
        self.stack = stack
        self.run = uuid.uuid4().hex[:8]
        self.author = None
        self.hooks: list[str] = []
        self.lock = threading.Lock()
        self.acknowledged: list[str] = []
        self.failed = 0
        self.posting: threading.Thread | None = None
        self.stopping = threading.Event()

    def subscribe(self, count: int) -> None:
        """One author; subscribers with JSON and with JANDI's format."""
        self.author = self.must("POST", self.stack.url("SUBSCRIBER_PORT", "/members"), {"nickname": "anna"})["id"]
        for number in range(count):
            hook = f"reader-{number}"
            body = {
                "authorId": self.author,
                "webhookUrl": f"http://webhook-receiver:8083/hook/{hook}",
                "format": "jandi" if number == 0 else "json",
            }
            self.must("POST", self.stack.url("SUBSCRIBER_PORT", "/subscriptions"), body)
            self.hooks.append(hook)
        say(f"{count} subscribers of one author")

    def start(self, rate: float) -> None:
        """Posts until it is stopped, whether it is answered or not."""
        self.stopping.clear()
        self.posting = threading.Thread(target=self._post, args=(rate,), daemon=True)
        self.posting.start()

    def stop(self) -> None:
        self.stopping.set()
        self.posting.join()

    def refused(self) -> int:
        with self.lock:
            return self.failed

    def until_heard(self, when: str) -> float:
        """Until a post that is made from now on has been heard by all; how long after it was made."""
        with self.lock:
            known = len(self.acknowledged)
        until(f"a post is taken, {when}", lambda: len(self.acknowledged) > known)
        began = time.monotonic()
        title = self.acknowledged[known]
        until(f"{title} is heard by all, {when}", lambda: all(title in heard for heard in self._heard().values()))
        took = time.monotonic() - began
        say(f"  a post is heard by all after {took:.1f} s")
        return took

    def settle(self) -> None:
        """Until everybody has heard everything that is in the database, or it is known to be in doubt."""
        committed = self._committed()
        say(f"waiting until {len(committed)} posts are heard by {len(self.hooks)} subscribers")

        def complete() -> bool:
            missing = self._missing(committed)
            return missing == 0 or missing <= self._in_doubt()

        try:
            until("everybody has heard everything", complete, SETTLE_SECONDS)
        except Failed as late:
            # The table says how many are missing.
            say(str(late))

    def count(self) -> Count:
        committed, heard, in_doubt = self._committed(), self._heard(), self._in_doubt()
        return Count(
            acknowledged=len(self.acknowledged),
            committed=len(committed),
            subscribers=len(self.hooks),
            # What was answered to the author and is not in the database is lost too.
            lost=max(0, self._missing(committed) - in_doubt) + len(set(self.acknowledged) - committed),
            in_doubt=in_doubt,
            repeated=sum(times - 1 for hook in self.hooks for times in heard[hook].values()),
        )

    def _post(self, rate: float) -> None:
        due = time.monotonic()
        while not self.stopping.is_set():
            title = f"{self.run}-{uuid.uuid4().hex[:12]}"
            body = {"authorId": self.author, "title": title, "content": "as ever"}
            status, _ = request("POST", self.stack.url("POST_PORT", "/posts"), body, seconds=5)
            with self.lock:
                if 200 <= status < 300:
                    self.acknowledged.append(title)
                else:
                    self.failed += 1
            due = max(due + 1 / rate, time.monotonic() - 1)
            self.stopping.wait(max(0.0, due - time.monotonic()))

    def _heard(self) -> dict[str, Counter]:
        """For each subscriber, how often each title was accepted."""
        _, answer = request("GET", self.stack.url("RECEIVER_PORT", "/received"))
        heard = {hook: Counter() for hook in self.hooks}
        title = re.compile(rf"{self.run}-[0-9a-f]{{12}}")
        for webhook in (answer or {}).get("webhooks", []):
            found = title.search(webhook["body"])
            if found and webhook["hook"] in heard and webhook["accepted"]:
                heard[webhook["hook"]][found[0]] += webhook["accepted"]
        return heard

    def _missing(self, committed: set[str]) -> int:
        heard = self._heard()
        return sum(len(committed - set(heard[hook])) for hook in self.hooks)

    def _in_doubt(self) -> int:
        """Deliveries to at-most-once endpoints, such as a chat's, that a killed notifier had not finished."""
        return int(self.stack.sql("SELECT count(*) FROM cdc.delivery WHERE state = 'unknown'"))

    def _committed(self) -> set[str]:
        return set(self.stack.sql(f"SELECT title FROM sns.post WHERE title LIKE '{self.run}-%'").split())

    def must(self, method: str, url: str, body) -> dict:
        status, answer = request(method, url, body)
        if not 200 <= status < 300:
            raise Failed(f"{method} {url}: {status} {answer}")
        return answer or {}
