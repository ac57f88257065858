"""Trainings that are sick on purpose, and such as are healthy."""
