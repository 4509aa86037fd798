"""Which cameras there are, and whether they can be used."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from stream.doctor.finding import Finding


def cameras() -> Iterator[Finding]:
    """Each camera, with what is wrong with it, or that there is none."""
    from stream.sources._camera_faults import remedy_of
    from stream.sources.camera import find_cameras

    found = find_cameras()
    for index, camera in enumerate(found):
        name = camera.device if sys.platform == "linux" else str(index)
        if camera.problem is None:
            yield Finding("cameras", name, "works", camera.name)
        else:
            what = f"{camera.name}: {camera.problem}"
            yield Finding("cameras", name, "missing", what, remedy_of(camera, sys.platform))
    if not found:
        advice = "plug one in; in a container or virtual machine, pass the device through"
        yield Finding("cameras", "cameras", "missing", "none found", advice)
