"""Our time series as TensorBoard's data provider holds them: what is in the log, and how to get at it.

Everything is addressed by run, layer, step and image. Blob keys never leave this module: one can be forged into a key of any blob of
the log directory, so none is taken from outside.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from tensorboard import errors
from tensorboard.data import provider as data

from fm_callback.format import PLUGIN, PROBE_TAG, VERSION, LayerFacts

MAPS, NUMBERS = "/maps", "/numbers"

# The provider thins to this many points; more than any log holds.
_ALL = 10**9
# The default reading path answers a lone request in 43 ms and eight at a time in about 1 ms each.
_AT_ONCE = 8
_SERIES_KEPT = 512

# A step's wall time and the keys of its blobs.
_Blobs = tuple[float, tuple[str, ...]]


class Log:
    """Reads our time series through a data provider."""

    def __init__(self, provider: data.DataProvider) -> None:
        self._provider = provider
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=PLUGIN)
        self._series: OrderedDict[tuple[str, str, str], dict[int, _Blobs]] = OrderedDict()
        self._lock = threading.Lock()

    def runs(self, ctx: Any, experiment: str) -> list[dict[str, Any]]:
        """All runs with their layers in model order, their static facts and their steps; JSON-like."""
        listed = self._provider.list_blob_sequences(ctx, experiment_id=experiment, plugin_name=PLUGIN)
        runs = {
            run: {tag: series for tag, series in tags.items() if tag.endswith(MAPS)} for run, tags in listed.items()
        }
        # A step is one record for all layers: reading one series a run tells the steps of all that end alike.
        wanted = {
            run: {(series.max_step, series.max_wall_time): tag for tag, series in tags.items()}
            for run, tags in runs.items()
        }
        steps = {
            run: self._read(ctx, experiment, run, sorted(set(tags.values()))) for run, tags in wanted.items() if tags
        }
        result = []
        for run, tags in sorted(runs.items()):
            layers = []
            for tag, series in tags.items():
                points = steps[run].get(wanted[run][series.max_step, series.max_wall_time], {})
                layer = {"layer": tag.removesuffix(MAPS), **_layer_facts(series.plugin_content)}
                layers.append({**layer, "steps": list(points), "wall_times": [wall for wall, _ in points.values()]})
            layers.sort(key=_model_order)
            for layer in layers[1:]:
                if layer["steps"] == layers[0]["steps"] and layer["wall_times"] == layers[0]["wall_times"]:
                    del layer["steps"], layer["wall_times"]  # said once, by the first layer
            probe = listed[run].get(PROBE_TAG)
            if layers or probe:
                result.append({"run": run, "layers": layers, "probe": _probe_facts(probe)})
        return result

    def numbers(
        self, ctx: Any, experiment: str, run: str, layers: Sequence[str]
    ) -> list[tuple[list[int], list[np.ndarray]]]:
        """For each layer its steps, and at each the numbers, float32 (channels, fields).

        Raises:
            errors.NotFoundError: if a layer is unknown.
        """
        tags = [layer + NUMBERS for layer in layers]
        found = self._provider.read_tensors(
            ctx,
            experiment_id=experiment,
            plugin_name=PLUGIN,
            downsample=_ALL,
            run_tag_filter=data.RunTagFilter(runs=[run], tags=tags),
        ).get(run, {})
        result = []
        for layer, tag in zip(layers, tags, strict=True):
            if tag not in found:
                raise errors.NotFoundError(f"run {run!r} has no numbers of layer {layer!r}")
            points = [
                point
                for point in found[tag]
                if _is_table(point.numpy) and point.numpy.shape == found[tag][0].numpy.shape
            ]
            result.append(([int(point.step) for point in points], [np.asarray(point.numpy, "<f4") for point in points]))
        return result

    def maps(self, ctx: Any, experiment: str, run: str, layer: str, step: int, image: int) -> bytes:
        """The stored PNG of a layer at a step for one image of the probe.

        Raises:
            errors.NotFoundError: if there is none.
        """
        return self._blob(ctx, self._key(ctx, experiment, run, layer + MAPS, step, image))

    def bundle(
        self, ctx: Any, experiment: str, run: str, wanted: Iterable[tuple[str, int]], image: int
    ) -> Iterator[tuple[str, int, bytes | None]]:
        """The PNGs of several layers and steps, None where there is none, read several at a time."""
        wanted = list(wanted)
        self._look_up(ctx, experiment, run, sorted({layer + MAPS for layer, _ in wanted}), {step for _, step in wanted})

        def read(of: tuple[str, int]) -> bytes | None:
            try:
                return self.maps(ctx, experiment, run, *of, image)
            except (errors.NotFoundError, errors.InvalidArgumentError):
                return None  # not there yet, or a tag that the fast path cannot read: see `layer_tags`

        for (layer, step), png in zip(wanted, self._pool.map(read, wanted), strict=True):
            yield layer, step, png

    def probe(self, ctx: Any, experiment: str, run: str, index: int) -> bytes:
        """A stored PNG of the probe: the images, then the masks.

        Raises:
            errors.NotFoundError: if there is none.
        """
        series = self._read(ctx, experiment, run, [PROBE_TAG]).get(PROBE_TAG, {})
        keys = series[max(series)][1] if series else ()
        if not 0 <= index < len(keys):
            raise errors.NotFoundError(f"run {run!r} has no probe picture {index}")
        return self._blob(ctx, keys[index])

    def scalars(self, ctx: Any, experiment: str, run: str) -> dict[str, list[tuple[int, float]]]:
        """What was logged for TensorBoard's Scalars tab as `feature_maps/<measure>/<layer>`: (step, value) by tag."""
        mine = {
            tag
            for tag in self._provider.list_scalars(
                ctx, experiment_id=experiment, plugin_name="scalars", run_tag_filter=data.RunTagFilter(runs=[run])
            ).get(run, {})
            if tag.startswith(f"{PLUGIN}/")
        }
        if not mine:
            return {}
        found = self._provider.read_scalars(
            ctx,
            experiment_id=experiment,
            plugin_name="scalars",
            downsample=_ALL,
            run_tag_filter=data.RunTagFilter(runs=[run], tags=mine),
        ).get(run, {})
        return {
            tag.removeprefix(f"{PLUGIN}/"): [(int(point.step), float(point.value)) for point in points]
            for tag, points in found.items()
        }

    def _blob(self, ctx: Any, key: str) -> bytes:
        try:
            return bytes(self._provider.read_blob(ctx, blob_key=key))
        except (
            LookupError,
            TypeError,
            ValueError,
        ) as error:  # what was written is no blob sequence, or was replaced meanwhile
            raise errors.NotFoundError("the picture is no longer there") from error

    def _key(self, ctx: Any, experiment: str, run: str, tag: str, step: int, image: int) -> str:
        keys = self._look_up(ctx, experiment, run, [tag], {step})[tag].get(step, (0.0, ()))[1]
        if not 0 <= image < len(keys):
            raise errors.NotFoundError(
                f"run {run!r} has no picture of {tag.removesuffix(MAPS)!r} at step {step}, image {image}"
            )
        return keys[image]

    def _look_up(
        self, ctx: Any, experiment: str, run: str, tags: Sequence[str], steps: set[int]
    ) -> dict[str, dict[int, _Blobs]]:
        """The blobs of tags, read anew only for tags that are not known to have all the steps: a key, once given, stays right."""
        with self._lock:
            known = {tag: self._series.get((experiment, run, tag), {}) for tag in tags}
        if missing := [tag for tag, series in known.items() if not steps <= series.keys()]:
            known |= {tag: {} for tag in missing} | self._read(ctx, experiment, run, missing)
        return known

    def _read(self, ctx: Any, experiment: str, run: str, tags: Sequence[str]) -> dict[str, dict[int, _Blobs]]:
        found = self._provider.read_blob_sequences(
            ctx,
            experiment_id=experiment,
            plugin_name=PLUGIN,
            downsample=_ALL,
            run_tag_filter=data.RunTagFilter(runs=[run], tags=tags),
        ).get(run, {})
        result = {
            tag: {
                int(point.step): (float(point.wall_time), tuple(value.blob_key for value in point.values))
                for point in points
            }
            for tag, points in found.items()
        }
        with self._lock:
            for tag, series in result.items():
                self._series[experiment, run, tag] = series
                self._series.move_to_end((experiment, run, tag))
            while len(self._series) > _SERIES_KEPT:
                self._series.popitem(last=False)
        return result


def _is_table(values: np.ndarray) -> bool:
    return values.ndim == 2 and values.dtype.kind == "f"


def _layer_facts(content: bytes) -> dict[str, Any]:
    """The static facts of a layer, as far as they can be used; `problem` says why its pictures can't be shown."""
    try:
        stored = json.loads(content)
        version = stored.get("version")
    except (ValueError, AttributeError, RecursionError):
        return {"problem": "its static facts are damaged", "version": None}
    try:
        facts = LayerFacts.from_json(content)
        lists = (facts.shape, facts.channels, facts.fields, () if facts.kernel is None else facts.kernel)
        counts = (facts.rows, facts.columns, facts.probe_images, facts.stored_images, *facts.shape, *facts.channels)
        names = (facts.kind, facts.path, facts.step_unit, *facts.fields)
        sound = (
            all(isinstance(each, tuple) for each in lists)
            and all(isinstance(count, int) and 0 <= count < 2**31 for count in (*counts, *lists[-1]))
            and facts.rows * facts.columns >= len(facts.channels) > 0
            and len(facts.shape) > 0
            and all(facts.shape)
            and all(isinstance(name, str) for name in names)
            and isinstance(facts.activation, str | None)
            and isinstance(facts.number, int | None)
            and isinstance(facts.slice, int | None)
            and isinstance(facts.cells, dict)
            and all(isinstance(count, int) for count in facts.cells.values())
        )
    except (ValueError, TypeError):
        sound = False
    if not sound:
        newer = isinstance(version, int) and version > VERSION
        problem = "a newer format that this version can't show" if newer else "its static facts are damaged"
        kept = {key: stored[key] for key in ("path", "kind") if isinstance(stored.get(key), str)}
        return {"problem": problem, "version": version if isinstance(version, int) else None, **kept}
    return {key: getattr(facts, key) for key in facts.__dataclass_fields__}


def _probe_facts(series: data.BlobSequenceTimeSeries | None) -> dict[str, Any]:
    """How many images and masks the probe has, and how values became pixels."""
    facts: dict[str, Any] = {"images": 0, "masks": 0, "scaling": None, "v": None}
    if series is None:
        return facts
    try:
        stored = json.loads(series.plugin_content)
        images, masks = int(stored["images"]), int(stored["masks"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return facts
    if not (0 <= images <= 10_000 and 0 <= masks <= 10_000):
        return facts
    scaling = stored.get("scaling")
    return {
        "images": images,
        "masks": masks,
        "scaling": scaling if isinstance(scaling, str) else None,
        "v": series.max_wall_time,
    }


def _model_order(layer: dict[str, Any]) -> tuple[bool, int, str]:
    number = layer.get("number")
    return number is None, number or 0, layer["layer"]
