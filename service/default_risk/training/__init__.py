"""Labelled ratios become a model file; scikit-learn is needed here and nowhere else."""
