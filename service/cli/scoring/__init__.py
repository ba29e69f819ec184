"""The commands of default risk: train, look at and use models."""
