"""What the API server refused, said so that the object and the field at fault can be found.

kubectl's own messages rarely name the object, and explain the same three ways out after every conflict.
"""

import re
from collections.abc import Callable, Sequence

from flameplane.local.kubectl import Object, Result
from flameplane.local.objects import Key, key
from flameplane.local.problem import Problem

CONFLICT = re.compile(r'conflicts? with "([^"]+)"[^:\n]*:')
UNREACHABLE = re.compile(r"connection to the server|i/o timeout|no route to host|connection refused")
ADVICE = re.compile(r"Please review the fields above.*?/server-side-apply/#conflicts", re.DOTALL)
PREFIX = re.compile(r'^error: (error validating "STDIN": error validating data: )?')
SHOWN = 5  # objects named before we stop looking for more
Refused = tuple[Key | str, str]  # the object, if it is known, and what kubectl said


def culprits(objects: Sequence[Object], send: Callable[[Sequence[Object]], Result]) -> list[Refused]:
    """The first objects of a refused batch that are refused on their own, found by halving it."""
    result = send(objects)
    if result.ok or UNREACHABLE.search(result.err):
        return []
    if len(objects) == 1:
        return [(key(objects[0]), result.err)]
    middle = len(objects) // 2
    found = culprits(objects[:middle], send)
    return found if len(found) >= SHOWN else [*found, *culprits(objects[middle:], send)]


def refusal(refused: Sequence[Refused]) -> Problem:
    """The problem: a field that someone else holds, or an object the API server does not take."""
    details = []
    for name, said in refused:
        kept = ADVICE.sub("", said).partition("; if you choose to ignore")[0]
        lines = [PREFIX.sub("", line) for line in kept.splitlines() if line.strip() and not line.startswith("Warning:")]
        details += [f"{name}: {lines[0]}" if name else lines[0], *lines[1:]] if lines else [str(name)]
    said = "\n".join(text for _, text in refused)
    if managers := sorted(set(CONFLICT.findall(said))):
        return Problem(
            "LOC007",
            f"Fields that the program sets were changed on the cluster by {', '.join(managers)}:",
            "undo that change, or run it again with --force-conflicts to set the declared values",
            details,
        )
    return Problem(
        "LOC006",
        "The API server does not accept what the program declares:",
        "correct the component that declares the object; a field that cannot be changed in place needs the object "
        "deleted once",
        details,
    )
