"""Exports in, typed Parquet out: contracts, transports, readers, landing, quarantine, ledger.

Imports no Airflow and no dbt.
"""
