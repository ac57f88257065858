"""What TensorBoard imports at its start.

TensorBoard loads entry points without a net: an ImportError here would stop it. So this module imports TensorBoard's own
base class and nothing else; what may fail is imported in `load`, whose exceptions TensorBoard logs and survives.
"""

from tensorboard.plugins import base_plugin


class FeatureMapsLoader(base_plugin.TBLoader):
    """Loads the plugin."""

    def load(self, context: base_plugin.TBContext) -> base_plugin.TBPlugin:
        """Makes the plugin."""
        from fm_callback.tensorboard_plugin.plugin import FeatureMapsPlugin

        return FeatureMapsPlugin(context)
