"""Publishing: which periods are due, a new warehouse file for them, its audit, and the swap of the served release."""

from publishing.audit import audit
from publishing.build import build
from publishing.plan import Plan, plan
from publishing.publish import Published, StaleBuild, publish
from publishing.releases import rollback
from publishing.run import run
from publishing.summary import summary

__all__ = ["Plan", "Published", "StaleBuild", "audit", "build", "plan", "publish", "rollback", "run", "summary"]
