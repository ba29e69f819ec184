"""Scoring on a Dask cluster: a Parquet file in pieces, with the answers of one process."""
