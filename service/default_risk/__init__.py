"""A company's financial ratios become a probability of default, with its reasons."""
