"""Fairness of the rules, shown: counties simulated with known truth, scored by this project's rules and by others."""
