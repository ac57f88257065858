"""From maps and labels to numbers, per channel and layer. Needs numpy, and no Keras."""
