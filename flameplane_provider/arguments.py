"""Types of the published component, made from the pydantic models, so that the two cannot disagree.

Pulumi infers a package's schema from TypedDicts with ``NotRequired`` (pulumi.provider.experimental.analyzer). It takes
no ``Literal``, no ``Union`` and no default of pydantic: closed lists become text here, and the models judge the values.
"""

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, TypedDict, Union, get_args, get_origin

from pydantic import BaseModel

_made: dict[str, tuple[type[BaseModel], Any]] = {}  # by name: all types of a package share one module


def typed_dict(model: type[BaseModel]) -> Any:
    """The TypedDict of a model; nested models become TypedDicts too. Raises ``TypeError`` for two of one name."""
    name = model.__name__
    if name in _made:
        if _made[name][0] is not model:
            raise TypeError(f"two models are called {name}; types of a package need different names")
        return _made[name][1]
    fields = {}
    for key, field in model.model_fields.items():
        kind = plain(field.annotation)
        fields[key] = kind if field.is_required() else NotRequired[kind]
    made: Any = TypedDict(name, fields)  # type: ignore[misc]  # the functional form takes any name and fields
    texts = (f"{key}: {field.description}" for key, field in model.model_fields.items() if field.description)
    made.__doc__ = "\n".join(((model.__doc__ or name).strip(), "", *texts))
    _made[name] = model, made
    return made


def plain(kind: Any) -> Any:
    """A type of a model's field as Pulumi's inference takes it."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        kinds = [plain(k) for k in inner if k is not NoneType]
        found = kinds[0] if len(kinds) == 1 else Any  # one of several models: they judge which
    elif origin is Annotated:
        found = plain(inner[0])
    elif origin is Literal:
        (found,) = {type(value) for value in inner}
    elif origin is dict:
        found = dict[str, plain(inner[1])]  # type: ignore[misc]  # computed
    elif origin in (list, tuple):
        found = list[plain(inner[0])]  # type: ignore[misc]  # computed
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        found = typed_dict(kind)
    else:
        found = kind
    return found
