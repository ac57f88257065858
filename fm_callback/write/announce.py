"""Announces a run's directory to those who follow TensorBoard's writers, such as Weights & Biases.

With `sync_tensorboard=True` it puts a subclass of its own in the place of TensorBoard's `EventFileWriter`, and copies and reads the
directories that this is called with. Our files are written without it.
"""

import os
import sys
from pathlib import Path

from fm_callback.capture.warn import warn


def announce(directory: Path) -> None:
    """Calls the writer that stands in for TensorBoard's own, if there is one.

    It leaves an event file without a value. TensorBoard's slow reading path goes from one file to the next and never back: it must be
    there before the file that the steps are in gets its name.
    """
    module = sys.modules.get("tensorboard.summary.writer.event_file_writer")
    if module is None or module.EventFileWriter.__module__ == module.__name__:
        return
    try:
        module.EventFileWriter(os.fspath(directory)).close()
    except Exception as error:  # theirs, and no reason not to log
        warn(f"FeatureMapCallback could not announce {directory} to {module.EventFileWriter}: {error!r}")
