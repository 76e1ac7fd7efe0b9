"""The coupon story: more users than coupons, all at once; those with an odd number fail at first."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .stack import Failed, Stack, request, say, until

# The default of compose.yaml.
LIMIT = 100
AT_ONCE = 32


@dataclass(frozen=True)
class Count:
    applied: int
    accepted: int
    issued: int
    numbers: int
    rescued: int


class Coupons:
    def __init__(self, stack: Stack):
        self.stack = stack
        self.accepted: set[int] = set()

    def fail_odd(self, on: bool) -> None:
        status, answer = request("POST", self.stack.url("COUPON_PORT", "/admin/fail-odd"), {"on": on})
        if not 200 <= status < 300:
            raise Failed(f"fail-odd: {status} {answer}")

    def rush(self, applicants: int) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(self._apply, range(1, applicants + 1)))
        self.accepted = {user for user, accepted in answers if accepted}
        say(f"  {applicants} users want a coupon: {len(self.accepted)} accepted")

    def _apply(self, user: int) -> tuple[int, bool]:
        url = self.stack.url("COUPON_PORT", "/coupon/apply")
        for _ in range(5):
            status, _ = request("POST", url, {"userId": user})
            if status in (200, 202, 409):
                return user, status != 409
        raise Failed(f"user {user} has no answer: {status}")

    def settle(self, applicants: int) -> Count:
        issued = "SELECT count(*) FROM coupon.coupon"
        try:
            until("every accepted user has a coupon", lambda: int(self.stack.sql(issued)) >= len(self.accepted))
        except Failed as late:
            say(str(late))
        counted = self.stack.sql(
            "SELECT count(*), count(*) FILTER (WHERE sequence BETWEEN 1 AND %d), count(rescued_from) FROM coupon.coupon"
            % LIMIT
        )
        total, numbers, rescued = (int(number) for number in counted.split("|"))
        return Count(applicants, len(self.accepted), total, numbers, rescued)
