"""Upkeep (运维): what is there and fresh, who is told when it is not, reports of periods, a rebuild on trial."""
