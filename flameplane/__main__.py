"""`python -m flameplane`, as the image of the jobs runs it."""

from flameplane.cli import main

main()
