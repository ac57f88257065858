"""What reads a log: numpy and pillow, neither Keras nor TensorBoard."""
