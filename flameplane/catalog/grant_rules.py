"""The findings about exports/<id>.yaml, a part of the table in ``flameplane.catalog.rules``."""

from typing import Final

from flameplane.catalog.rule import Rule
from schemas.allowed import GRANT_DAYS
from schemas.grant import PURPOSE

_EXP = ("EXP",)

RULES: Final[dict[str, Rule]] = {
    "090": Rule(
        "Grant that is called otherwise than its file",
        "The id that the requester shows is looked up by the file's name.",
        "Make them agree.",
        _EXP,
    ),
    "091": Rule(
        "Grant approved by who asked for it",
        "What leaves is out of reach of retention and audit: two people have to want it.",
        "Name another approver.",
        _EXP,
    ),
    "092": Rule(
        "Approver who does not own exports",
        "Only code owners of exports/ can approve the pull request: metadata.owners of services/_org.yaml.",
        "Name one of them.",
        _EXP,
    ),
    "093": Rule(
        "Purpose that says nothing",
        "Whoever approves it, and whoever reads the audit a year later, has nothing else to judge by.",
        f"Say in {PURPOSE[0]} words or more what it is for, where the profile goes and who sees it there.",
        _EXP,
    ),
    "094": Rule(
        "Grant for no declared service",
        "It opens one service of the one team that it names, and nothing else.",
        "Name a service that services/ declares, and its team.",
        _EXP,
    ),
    "095": Rule(
        "Window that holds no profile",
        "It ends after it starts and before the grant expires, and begins where the team's profiles are still kept.",
        "Correct the window.",
        _EXP,
    ),
    "096": Rule(
        "Grant that holds too long",
        f"Who agreed still knows why for {GRANT_DAYS} days, counted from the day it was granted, which is not to come.",
        f"Let it begin by now, and expire within {GRANT_DAYS} days.",
        _EXP,
    ),
    "097": Rule(
        "Time that the calendar does not have",
        "The gateway would not read the grant, nor any other one.",
        "Write a time that exists.",
        _EXP,
    ),
    "098": Rule(
        "Expired grant",
        "The gateway takes it no more; the file only makes people look.",
        "Delete the file; if the profile is still needed, ask anew under another id.",
        _EXP,
    ),
}
