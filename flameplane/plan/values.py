"""Pulumi's wire form of property values, to and from plain Python.

A value that only the cloud knows is ``UNKNOWN``, a value marked secret is ``Secret``: both stay visible, so that
nothing downstream can take the one for a string or write the other into a file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import struct_pb2  # type: ignore[import-untyped]

# The signatures and sentinels of Pulumi's property encoding (sdk/go/common/resource/properties.go).
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a public marker
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_RESOURCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
UNKNOWN_ID: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS: Final = frozenset(
    {
        UNKNOWN_ID,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


class _Unknown:
    """The one value ``UNKNOWN``."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True)
class Secret:
    """A value marked secret; never shown by ``repr``."""

    value: Any = field(repr=False)


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Plain Python of a wire struct. Whole numbers become ``int``: the wire knows only doubles."""
    return {key: _from_value(value) for key, value in struct.fields.items()}


def to_struct(properties: Mapping[str, Any], *, outputs: bool = False) -> struct_pb2.Struct:
    """The wire form of what ``from_struct`` gave; for transforms, unknowns and secrets as output values."""
    struct = struct_pb2.Struct()
    struct.update({key: _to_plain(value, outputs) for key, value in properties.items()})
    return struct


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf below ``value`` with its path, as ``spec.containers[0].image``; keys with dots stand in brackets."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            step = f'["{key}"]' if "." in str(key) or "/" in str(key) else f".{key}" if path else str(key)
            yield from walk(inner, path + step)
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from walk(inner, f"{path}[{index}]")
    else:
        yield path, value


def _from_value(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [_from_value(v) for v in value.list_value.values]
        case "struct_value":
            plain = from_struct(value.struct_value)
            return _from_signed(plain) if _SIGNATURE in plain else plain
    return None


def _from_signed(plain: dict[str, Any]) -> Any:
    """The value behind a signature. A resource stands for its id, a component for its URN, as providers see them."""
    match plain[_SIGNATURE]:
        case sig if sig == _SECRET:
            return Secret(plain.get("value"))
        case sig if sig == _OUTPUT:
            value = plain.get("value", UNKNOWN)
            return Secret(value) if plain.get("secret") else value
        case sig if sig == _RESOURCE:
            return (plain["id"] or UNKNOWN) if "id" in plain else plain["urn"]
    return plain  # an asset or an archive: passed on as it is


def _to_plain(value: Any, outputs: bool) -> Any:
    if value is UNKNOWN:
        return {_SIGNATURE: _OUTPUT} if outputs else UNKNOWN_ID
    if isinstance(value, Secret):
        inner = _to_plain(value.value, outputs)
        if not outputs:
            return {_SIGNATURE: _SECRET, "value": inner}
        return {_SIGNATURE: _OUTPUT, "secret": True} | ({} if value.value is UNKNOWN else {"value": inner})
    if isinstance(value, Mapping):
        return {key: _to_plain(inner, outputs) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(inner, outputs) for inner in value]
    return value
