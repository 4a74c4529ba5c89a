# SPDX-License-Identifier: MIT
"""Every attack of tests/escapes from a container: as root, bridged, with CAP_NET_RAW and CAP_NET_ADMIN."""
from inside import Inside
from runner import Attacks


class TestContainer(Attacks):
    place, ground = Inside, "engine"
