"""What TensorBoard imports at its start.

TensorBoard loads entry points without a net: an ImportError here would stop it. So this module imports TensorBoard's own base class
and nothing else; what may fail is imported in `load`, whose exceptions TensorBoard logs and survives.
"""

import argparse

from tensorboard.plugins import base_plugin

#: Steps that TensorBoard keeps of each layer, unless the user says otherwise with --samples_per_plugin=feature_maps=N. It keeps them
#: in memory: about the size of the event files.
STEPS = 1000


class FeatureMapsLoader(base_plugin.TBLoader):
    """Loads the plugin."""

    def fix_flags(self, flags: argparse.Namespace) -> None:
        """Keeps every step: TensorBoard's own default is ten at random, which loses the first."""
        if getattr(flags, "samples_per_plugin", None) is not None:
            flags.samples_per_plugin.setdefault("feature_maps", STEPS)

    def load(self, context: base_plugin.TBContext) -> base_plugin.TBPlugin:
        """Makes the plugin."""
        from fm_callback.tensorboard_plugin.plugin import FeatureMapsPlugin

        return FeatureMapsPlugin(context)
