"""From samples to 8-bit maps and their numbers, in one pass: the side that needs Keras."""
