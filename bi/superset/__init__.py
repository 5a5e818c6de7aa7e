"""Superset's dashboards as code: dashboards.yaml and dbt's descriptions in, assets/ in Superset's import format out."""
