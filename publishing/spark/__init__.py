"""The same models on Apache Spark (docs/region.md): inputs as Parquet, dbt on a Spark session, and the comparison."""
