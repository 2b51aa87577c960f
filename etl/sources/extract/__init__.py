"""Tables of an EMR, RIS or billing system: CSV, Parquet and answers to SQL."""
