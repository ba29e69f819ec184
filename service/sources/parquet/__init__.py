"""Parquet files become record batches."""
