"""The integrity of model files: each of them is what its checksum says."""
