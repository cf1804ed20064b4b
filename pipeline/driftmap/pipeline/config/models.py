"""What the models of settings have in common: frozen, strict, and checked with every flaw named by its option."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo

from driftmap.pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

Column = Annotated[str, Field(min_length=1)]
Count1 = Annotated[int, Field(ge=1)]

_STORED = "is_stored"


class FrozenModel(BaseModel):
    """A model of settings: frozen, without unknown fields, infinities and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def is_stored(info: ValidationInfo) -> bool:
    """Whether what is validated comes from a store, which accepted it when it was made."""
    return bool(info.context and info.context.get(_STORED))


_M = TypeVar("_M", bound=BaseModel)


def validate(model: type[_M], given: object, *, is_stored: bool = False) -> _M:
    """Make a model of what was given; what a store holds is not held against today's bounds.

    Raises
    ------
    ConfigError
        Naming every option that cannot be used, what came and what was expected.
    """
    try:
        return model.model_validate(given, context={_STORED: is_stored})
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(error, set(_list_options(model))))) from error


def _list_options(model: type[BaseModel]) -> Iterator[str]:
    """List the fields of a model and of the models in it, without those that are models themselves."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _list_options(field.annotation)
        else:
            yield name


def _explain(error: ValidationError, options: set[str]) -> list[str]:
    # Of a union's several complaints about one option, the one that looked deepest is about what was meant.
    deepest: dict[str, Any] = {}
    for detail in error.errors(include_url=False):
        name = _name_option(detail["loc"], options)
        if name not in deepest or len(detail["loc"]) > len(deepest[name]["loc"]):
            deepest[name] = detail
    return [_explain_one(name, detail) for name, detail in deepest.items()]


def _name_option(location: tuple[int | str, ...], options: set[str]) -> str:
    parts = [part for part in location if isinstance(part, str)]
    known = [part for part in parts if part in options]
    # The last: "layout" is an option, and the section of several.
    return known[-1] if known else ".".join(parts)


def _explain_one(name: str, detail: Any) -> str:
    message = str(detail["msg"])
    if detail["type"] == "value_error":
        message = message.removeprefix("Value error, ")
        says_which = name in ("", "windows", "graph", "layout") or message.startswith(name)
        return message if says_which else f"{name}: {message}"
    if detail["type"] == "missing":
        return f"{name} is missing"
    if detail["type"] == "extra_forbidden":
        return f"unknown option {name}"
    expected = message.replace("Input should be", "it should be", 1)
    return f"{name} is {show_value(detail['input'])}; {expected}"


def show_value(value: object) -> str:
    """Write a value as a message has it, cut short where it is long."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
