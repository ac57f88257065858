"""What the model predicts, read back as labels and as a table of scores."""

import numpy as np

from fm_callback.format import SCORES, DamagedError, PredictionFacts, RunFacts
from fm_callback.read import pictures
from fm_callback.read.reader import Reader
from fm_callback.read.snapshot import Snapshot
from fm_callback.read.table import Table


def labels_at(facts: RunFacts, prediction: PredictionFacts, reader: Reader, at: int) -> np.ndarray:
    """The predicted labels of the stored images at a step, as `Run.prediction` says.

    Raises:
        UnknownError: if the step has none.
        DamagedError: if they are damaged.
    """
    if prediction.kind == "class":
        if (scores := reader.scores(at)) is None:
            raise DamagedError(f"there is no prediction at {reader.name(at)}, or it is damaged")
        positions = scores[: facts.probe.stored, 0]
    else:
        images = range(max(1, reader.predictions(at)))
        positions = np.stack([pictures.decode(reader.prediction(at, image)) for image in images])
    values = [at if label.value is None else label.value for at, label in enumerate(prediction.labels)]
    return np.array([*values, -1])[_inside(positions, len(values))]


def scores_of(now: Snapshot, reader: Reader) -> Table:
    """The scores of all steps, as `Run.scores` says."""
    facts = now.facts
    prediction = facts.prediction if facts else None
    names = np.array([label.name for label in prediction.labels] + [None] if prediction else [None], object)
    steps, scores = [], []
    for at, step in enumerate(now.steps["step"].tolist()):
        if (stored := reader.scores(at)) is not None:
            steps.append(step)
            scores.append(stored)
    shape = prediction.scores(facts.probe.images) if facts and prediction else (0, 0, len(SCORES))
    values = np.array(scores, np.float32).reshape(len(steps), *shape)
    rows, columns = np.indices(values.shape[:-1]).reshape(values.ndim - 1, -1), values.reshape(-1, values.shape[-1])
    table = Table(step=np.array(steps, np.int64)[rows[0]], image=rows[1])
    if prediction and prediction.kind == "class":
        label = names[_inside(columns[:, 0], len(names) - 1)]
        return Table(table | {"label": label, "probability": columns[:, 1]})
    return Table(table | {"label": names[rows[2]]} | {name: columns[:, at] for at, name in enumerate(SCORES)})


def _inside(positions: np.ndarray, count: int) -> np.ndarray:
    """Positions as they are, and `count` for those that are none: NaN, negative, or behind the last."""
    with np.errstate(invalid="ignore"):
        return np.where((positions >= 0) & (positions < count), positions, count).astype(np.intp)
