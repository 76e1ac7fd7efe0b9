"""What was promised and what was seen."""

from . import coupon, sns


class Report:
    def __init__(self):
        self.faults: list[tuple[str, float, int, float]] = []
        self.rows: list[tuple[str, str, str, bool]] = []

    def fault(self, name: str, lasted: float, refused: int, recovered: float) -> None:
        self.faults.append((name, lasted, refused, recovered))

    def posts(self, count: sns.Count) -> None:
        self.row("posts taken, of those in the database", f"{count.acknowledged} of {count.committed}", "", True)
        self.row(f"lost, of what {count.subscribers} subscribers should hear", str(count.lost), "0", count.lost == 0)
        self.row("in doubt (chat, at most once)", str(count.in_doubt), "few", count.in_doubt <= 5)
        self.row("heard again (after the kill of a notifier)", str(count.repeated), "few", count.repeated <= 5)

    def coupons(self, count: coupon.Count) -> None:
        limit = coupon.LIMIT
        self.row("users who applied", str(count.applied), "", True)
        self.row("accepted", str(count.accepted), str(limit), count.accepted == limit)
        self.row("coupons issued", str(count.issued), str(limit), count.issued == limit)
        self.row(f"numbers from 1 to {limit}", str(count.numbers), str(limit), count.numbers == limit)
        self.row("of them by the handler of dead letters", str(count.rescued), "> 0", count.rescued > 0)

    def failures(self, count: int, in_doubt: int) -> None:
        self.row("open failures: those in doubt", str(count), str(in_doubt), count == in_doubt)

    def restart(self, before: int, kept: int, recovered: float) -> None:
        self.row("posts after down and up", f"{kept} of {before}", "all", kept == before)
        self.row("a new post is then heard after", f"{recovered:.1f} s", "", True)

    def removed(self, left: list[str]) -> None:
        self.row("left after down with volumes", str(len(left)), "0", not left)

    def failed(self, why: str) -> None:
        self.row(f"FAILED: {why}", "", "", False)

    def row(self, what: str, seen: str, promised: str, good: bool) -> None:
        self.rows.append((what, seen, promised, good))

    def is_good(self) -> bool:
        return all(good for *_, good in self.rows)

    def show(self, seconds: float) -> None:
        print(f"\n{'fault':<20} {'lasted':>8} {'posts refused':>14} {'a new post is heard after':>26}")
        for name, lasted, refused, recovered in self.faults:
            print(f"{name:<20} {lasted:>6.1f} s {refused:>14} {recovered:>24.1f} s")
        print(f"\n{'':<44} {'seen':>12} {'promised':>9}")
        for what, seen, promised, good in self.rows:
            print(f"{what:<44} {seen:>12} {promised:>9}  {'' if good else '<- BROKEN'}")
        print(f"\n{'every promise was kept' if self.is_good() else 'A PROMISE WAS BROKEN'}, in {seconds:.0f} s")
