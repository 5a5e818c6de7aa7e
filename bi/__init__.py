"""What BI tools are given: the dashboards of Superset (``bi.superset``)."""
