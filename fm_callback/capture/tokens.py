"""Token layers: on which grid of the picture a row of tokens stands."""

import difflib
import fnmatch
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from fm_callback.capture.find import Found
from fm_callback.capture.warn import warn

#: Height and width for every row of tokens that they fit, or for layers by path, name or glob; None there leaves a row.
Grids: TypeAlias = tuple[int, int] | Mapping[str, tuple[int, int] | None] | None

#: So many tokens may stand before those of the picture: a class token, one of distillation, registers.
MOST_PREFIX = 8


class Grid(NamedTuple):
    """How tokens lie: row by row on height x width, behind some that stand for no place."""

    height: int
    width: int
    prefix: int


def read_grid(grid: Any) -> Grids:
    """The argument `grid`, checked.

    Raises:
        ValueError: if it is neither None, two sizes, nor a dict of them.
    """
    if grid is None or _is_size(grid):
        return grid if grid is None else (int(grid[0]), int(grid[1]))
    if isinstance(grid, Mapping) and all(
        isinstance(key, str) and (_is_size(size) or size is None) for key, size in grid.items()
    ):
        return dict(grid)
    raise ValueError(
        "`grid` must be the height and width on which tokens lie, such as (14, 14), or a dict of them by layer; "
        f"received {grid!r}"
    )


def lay_out(chosen: list[Found], found: list[Found], inputs: list[tuple[int, int]], grids: Grids) -> dict[str, Grid]:
    """The grids of those of the chosen layers whose outputs are tokens of a picture, by path.

    An output with one axis of a layer that is no convolution is taken for tokens, if a map of as many cells came
    before it, less up to `MOST_PREFIX`: a convolution's, else that of any layer or input.

    Args:
        chosen: The chosen layers' calls.
        found: All calls in the model.
        inputs: Height and width of those inputs that have them.
        grids: As `read_grid` returns them.

    Raises:
        ValueError: if the maps before a layer leave several grids, or a given one fits no layer.
    """
    rows = [entry for entry in chosen if len(entry.info.output_shape) == 3 and entry.info.number is None]
    given = _given(rows, grids)
    laid: dict[str, Grid] = {}
    left: list[str] = []
    for entry in rows:
        path, tokens = entry.info.path, entry.info.output_shape[1]
        if path in given:
            if (grid := given[path]) is not None:
                laid[path] = grid
            continue
        before = [(False, plane) for plane in inputs]
        before += [
            (each.info.number is not None, each.plane) for each in found if each.plane and each.order < entry.order
        ]
        fits = [(certain, grid) for certain, plane in before if (grid := _fitting(tokens, plane))]
        possible = {grid for certain, grid in fits if certain} or {grid for _, grid in fits}
        if len(possible) > 1:
            ways = " or ".join(f"{height}×{width} behind {prefix}" for height, width, prefix in sorted(possible))
            raise ValueError(
                f"the {tokens} tokens of layer {path!r} may lie on a grid of {ways}: give the right one, "
                f"`grid=({', '.join(map(str, min(possible)[:2]))})` or `grid={{{path!r}: ...}}`"
            )
        if possible:
            laid[path] = possible.pop()
        elif before:
            left.append(f"{path!r} ({tokens})")
    if left:
        warn(
            f"no map of the model has as many cells as these layers have tokens: {', '.join(left)}. They are shown as "
            "a row; `grid=(height, width)` lays tokens of a picture out"
        )
    return laid


def _given(rows: list[Found], grids: Grids) -> dict[str, Grid | None]:
    """What `grids` says of the layers, by path."""
    if grids is None:
        return {}
    tokens = {entry.info.path: entry.info.output_shape[1] for entry in rows}
    if not isinstance(grids, Mapping):
        fitting: dict[str, Grid | None] = {path: _fitting(count, grids) for path, count in tokens.items()}
        if not any(fitting.values()):
            raise ValueError(f"`grid`={grids} fits no chosen layer; they have {_counts(tokens) or 'no tokens'}")
        return {path: grid for path, grid in fitting.items() if grid}
    given: dict[str, Grid | None] = {}
    for key, size in grids.items():
        named = [
            e.info.path for e in rows if any(fnmatch.fnmatchcase(text, key) for text in (e.info.path, e.info.name))
        ]
        if not named:
            near = difflib.get_close_matches(key, tokens, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            there = _counts(tokens) or "none"
            raise ValueError(f"no chosen layer with tokens is called {key!r}, as in `grid`{hint} There are: {there}")
        for path in named:
            given[path] = None if size is None else _fitting(tokens[path], size)
            if size is not None and given[path] is None:
                raise ValueError(
                    f"`grid`={size} of {key!r} does not fit layer {path!r}: it has {tokens[path]} tokens, and up to "
                    f"{MOST_PREFIX} may stand before those of the picture"
                )
    return given


def _fitting(tokens: int | None, plane: tuple[int, int] | None) -> Grid | None:
    if tokens is None or plane is None or min(plane) < 2:
        return None
    prefix = tokens - plane[0] * plane[1]
    return Grid(*plane, prefix) if 0 <= prefix <= MOST_PREFIX else None


def _counts(tokens: Mapping[str, int | None]) -> str:
    return ", ".join(f"{path!r} ({count} tokens)" for path, count in tokens.items())


def _is_size(size: Any) -> bool:
    return isinstance(size, (tuple, list)) and len(size) == 2 and all(type(each) is int and each > 0 for each in size)
