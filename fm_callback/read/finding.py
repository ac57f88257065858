"""A finding, and the words of which all are made."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from fm_callback.read.evidence import Evidence, LayerSeen

Severity: TypeAlias = Literal["alarm", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("alarm", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """Something that stands out in a run.

    Attributes:
        kind: Which, a name of `KINDS`, or of your own.
        severity: "alarm": the training is lost as it is; "warning": something is probably wrong; "note": worth knowing, no fault.
        layer: Name of the layer concerned, the first of several; None if it is none in particular.
        channel: Index of the channel in the layer, or None.
        step: Since which step, as the log counts; or None.
        text: What was seen, where, since when; how sure that is; what it does not show. The first sentence stands for itself.
        evidence: The numbers behind it, by name; None for one that is not known.
        advice: What people then try.
        link: Entries of the tab's address that open the place, such as `{"view": "layer", "layer": "dec2", "step": 9}`.
    """

    kind: str
    severity: Severity
    text: str
    layer: str | None = None
    channel: int | None = None
    step: int | None = None
    evidence: Mapping[str, float | int | str | None] = field(default_factory=dict)
    advice: str = ""
    link: Mapping[str, str | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(
                f"the severity of a finding must be one of {', '.join(map(repr, SEVERITIES))}; received {self.severity!r}"
            )

    @property
    def headline(self) -> str:
        """The first sentence of its text."""
        return self.text.split(". ", 1)[0].rstrip(".")

    def as_json(self) -> dict[str, Any]:
        """Its attributes as content for JSON."""
        return asdict(self)


def sentences(seen: Iterable[str], sure: str) -> str:
    """What was seen, and then how sure it is, as one text."""
    return " ".join(f"{each}." for each in (*seen, sure))


def name_of(layer: LayerSeen) -> str:
    """What people call a layer."""
    number = "" if layer.facts.number is None else f"#{layer.facts.number} "
    return f"{number}{layer.facts.name}"


def when(evidence: Evidence, step: int) -> str:
    """Since when: the log knows nothing before its first step."""
    return f"Since step {step}," if step > evidence.steps[0] or step == 0 else f"Since step {step} or before,"


def samples(count: int) -> str:
    """So many of the probe."""
    return plural(count, "sample")


def plural(count: int, what: str) -> str:
    """So many of something."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def some_of(count: int, of: int) -> str:
    """So many of a layer's channels."""
    return f"{count} of {of} logged channels"


def per_cent(share: float) -> str:
    """A share, for people."""
    return f"{100 * share:.1f} %" if 0.0005 < share < 0.9995 else f"{100 * share:.3g} %"


def rounded(value: float) -> float | None:
    """A number that JSON can say; None for what is none."""
    return round(float(value), 6) if np.isfinite(value) else None


def to_layer(layer: LayerSeen, step: int, channel: int | None = None) -> dict[str, str | int]:
    """Entries of the tab's address that open a layer, or a channel of it, at a step."""
    link: dict[str, str | int] = {"view": "layer", "layer": layer.facts.name, "step": step}
    return link if channel is None else link | {"channel": channel}


def held_since(holds: np.ndarray) -> int:
    """The position since which, without a gap up to the last, something holds."""
    gaps = np.flatnonzero(~holds)
    return int(gaps[-1]) + 1 if len(gaps) else 0
