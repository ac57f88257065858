"""What logging costs: counted while it goes on, told before it is paid and once it is known."""

from dataclasses import dataclass

#: From this many bytes on, what can be turned down is named before training begins.
MUCH = 2e9

#: From this share of an epoch on, what can be turned down is named.
SHARE = 0.05


def less(images: bool) -> str:
    """What can be turned down."""
    return f"log fewer `layers` or `channels`, a smaller probe, {'fewer steps, or `images=False`' if images else 'or fewer steps'}"


@dataclass
class Cost:
    """What steps have cost so far; those after the first, which compiles.

    Attributes:
        captured: How many steps the training thread has captured.
        recorded: How many of them are on disk.
        blocked: Seconds of the training thread for the first of them.
        behind: Seconds of work behind it, likewise.
        size: Bytes on disk, likewise.
        images: Whether pictures are written for TensorBoard's Images tab.
    """

    captured: int = 0
    recorded: int = 0
    blocked: float = 0.0
    behind: float = 0.0
    size: int = 0
    images: bool = True

    def capture(self, seconds: float) -> None:
        """Counts a step of the training thread."""
        self.blocked = self.blocked or seconds
        self.captured += 1

    def record(self, seconds: float, size: int) -> None:
        """Counts a step on disk."""
        if not self.recorded:
            self.behind, self.size = seconds, size
        self.recorded += 1

    def told(self, epochs: int, waited: float, epoch: float) -> str | None:
        """The cost in words, and what to turn down if either part is more than 5 % of an epoch.

        Args:
            epochs: How many epochs have ended.
            waited: Seconds that the training thread has waited for the work behind it, in all.
            epoch: Seconds of an epoch.

        Returns:
            A sentence; None as long as no step after the first is on disk, or no epoch of any length has ended.
        """
        if not (self.recorded and epochs and epoch > 0):
            return None
        each = self.blocked + waited / max(self.captured, 1)
        blocked, behind = self.captured / epochs * each / epoch, self.recorded / epochs * self.behind / epoch
        text = (
            f"a step costs {each * 1e3:.0f} ms in the training thread, {self.behind * 1e3:.0f} ms behind it and "
            f"{self.size / 1e6:.1f} MB; of the time of an epoch that is {blocked:.1%} and {behind:.1%}"
        )
        return f"{text}. For less, {less(self.images)}" if max(blocked, behind) > SHARE else text


def foretold(size: int, steps: int, epochs: int, images: bool = True) -> str:
    """What a log will come to, before training begins.

    Args:
        size: Bytes of a step.
        steps: How many steps are planned.
        epochs: How many epochs.
        images: Whether pictures are written for TensorBoard's Images tab.

    >>> foretold(23_000_000, 101, 100)
    'about 2.3 GB in 100 epochs; for less, log fewer `layers` or `channels`, a smaller probe, fewer steps, or `images=False`'
    """
    total = size * steps
    unit, name = (1e9, "GB") if total >= 0.95e9 else (1e6, "MB")
    amount = total / unit
    text = f"{amount:.0f}" if amount >= 9.95 or unit == 1e6 else f"{amount:.1f}"
    told = f"about {text} {name} in {epochs} epoch{'' if epochs == 1 else 's'}"
    return f"{told}; for less, {less(images)}" if total > MUCH else told
