"""Which step a moment is, where steps are batches: the optimizer's count of iterations, or our own."""

from typing import Any


class Batches:
    """Counts the batches of one training.

    A step is what the optimizer counts. A model may step optimizers of its own, though, and Keras puts one that nobody steps
    into `model.optimizer`: if its count has not moved after as many batches as it gathers gradients of, batches are
    counted here instead, for the rest of the training.

    The optimizer is asked only when a step is due: on JAX a look at it brings the whole state back into the model.

    Attributes:
        frequency: How many batches lie between two steps that may be taken.
    """

    def __init__(self, model: Any, frequency: int, run: int = 0) -> None:
        """Begins.

        Args:
            model: The model that is trained.
            frequency: How many batches lie between two steps that may be taken.
            run: How many batches of this training were run before we heard of it.
        """
        self.frequency = frequency
        self._first = _iterations(model) or 0  # the optimizer's count that was there at first
        self._run, self._last = (0 if self._first else run), run - 1
        self._offset = 0
        self._is_ours = False
        self._ordinal = self.step(model) // frequency

    def go_on_at(self, step: int, model: Any) -> None:
        """Counts on from a step of the run, whatever the optimizer counts."""
        self._offset += step - self.step(model)
        self._ordinal = step // self.frequency

    def begin_epoch(self) -> None:
        """Batches begin with 0 again."""
        self._last = -1

    @property
    def count(self) -> int:
        """Batches by our count, on top of what was there at first."""
        return self._offset + self._first + self._run

    def end(self, batch: int) -> int | None:
        """Counts up to the end of a batch, of which Keras may have taken several at once.

        Returns:
            Which of the steps that may be taken has been reached; None if none has been since the last call.
        """
        self._run += batch - self._last if batch > self._last else batch + 1
        self._last = batch
        return self._reached(self.count)

    def end_epoch(self, step: int) -> int | None:
        """At the end of an epoch with this step, the same as `end`, where nobody has told of its batches."""
        return None if self._run else self._reached(step)

    def _reached(self, count: int) -> int | None:
        before, self._ordinal = self._ordinal, max(self._ordinal, count // self.frequency)
        return self._ordinal if self._ordinal > before else None

    def step(self, model: Any) -> int:
        """The step at this moment."""
        now = None if self._is_ours else _iterations(model)
        if now is not None and now != self._first:
            return self._offset + now
        gathered = getattr(getattr(model, "optimizer", None), "gradient_accumulation_steps", None) or 1
        self._is_ours = self._is_ours or self._run >= gathered
        return self.count if self._is_ours else self._offset + self._first


def _iterations(model: Any) -> int | None:
    optimizer = getattr(model, "optimizer", None)  # none without `compile`
    return None if optimizer is None else int(optimizer.iterations)
