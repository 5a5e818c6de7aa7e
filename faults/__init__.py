"""The card of input faults: thousands of damaged deliveries through reader and load, each judged on its own.

Run it with ``python -m faults``. Nothing of the warehouse imports this package.
"""
