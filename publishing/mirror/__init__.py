"""The PostgreSQL mirror (镜像库): a release's tables in a schema of their own, and views that switch to it in one step.

For clients that want a server: Superset, Excel over ODBC, many readers at once. The release folder stays the original;
the mirror is made from it and can be dropped and made again at any time.
"""

from publishing.mirror.run import Mirrored, mirror

__all__ = ["Mirrored", "mirror"]
