"""What a change does, for the people who review it: compared with a git ref, in words, as a comment.

Nothing is imported here: `flameplane.review.post` runs in CI with the standard library alone.
"""
