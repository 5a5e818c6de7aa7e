-- Takes from a read-only DuckDB connection what lies outside the warehouse; see docs/bi.md.
SET enable_external_access = false;
SET lock_configuration = true;
