"""Upkeep (运维): what is there and how fresh, who is told when something fails, a rebuild on trial, the runbook."""
