from collections.abc import Iterator

from faults.variants import Variant


def variants() -> Iterator[Variant]:
    return iter(())


manifests = odd = layouts = numbers = unreadable = files = parameters = variants
