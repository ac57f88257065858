"""The "Feature maps" tab of TensorBoard."""
