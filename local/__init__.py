"""The platform's own local machine: a cluster, images and tools built from packages, all inside one cache folder.

Nothing here installs anything on the host: Debian packages are unpacked, Go programs are built and wheels are placed
below `local.cache.root()`, each keyed by what it was made from, so a second run finds everything ready.
"""


class LocalError(Exception):
    """Something the user can act on: the text says what failed, where, and what to do. Shown without a traceback."""
