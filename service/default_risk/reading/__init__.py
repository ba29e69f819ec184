"""Files of companies (CSV, XLSX, Parquet) become the same batches of rows."""
