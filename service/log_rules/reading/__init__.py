"""Log files, CSV or Parquet, become batches of the columns that rules name."""
