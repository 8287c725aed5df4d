"""Starts the component provider. The engine calls this file, from whatever folder."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # in place of this folder, whose modules have names of their own
    from pulumi.provider.experimental import component_provider_host

    from flameplane import __version__
    from flameplane_provider.facade import Platform

    component_provider_host([Platform], "flameplane", version=__version__)
