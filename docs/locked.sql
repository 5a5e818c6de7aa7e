-- Takes from a read-only DuckDB connection what lies outside the warehouse (docs/bi.md). harlequin cuts at each
-- semicolon, also in a comment: there is none here.
SET enable_external_access = false;
SET lock_configuration = true;
