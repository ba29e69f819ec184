"""Runs of kind `outbox`: what was recorded outside an evaluation leaves like everything else."""
