"""A region (区域): many counties, each whole and apart in a home of its own, and their ranking among themselves.

``region.yaml`` names the counties. ``run`` works through the month of all of them; what one county delivers never holds
up another's release. docs/region.md, Many counties, tells how to set one up.
"""
