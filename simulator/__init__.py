"""Three small source systems of a county: generated exports, and servers that deliver them.

Plays other people's systems: it keeps its own headers and codes and imports nothing of the warehouse.
"""
