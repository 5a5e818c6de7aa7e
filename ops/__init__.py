"""Runs the project natively: the demo's Airflow, the monthly run from end to end, the bench. Nothing imports it."""
