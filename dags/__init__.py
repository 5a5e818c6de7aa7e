"""DAG definitions; see common.py for what they share."""
