"""The header of a model file: its types and bounds, checked before anything of it is used."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError
from torch import Tensor, nn

from weakmask.errors import UserError
from weakmask.networks import network_with
from weakmask.outgoing_text import cut
from weakmask.setting_faults import fault_text

MOST = 4096  # a number of a network (channels, layers) or a name's letters; more is no network of this package
AGAIN = "train again, or fetch the file again"


def _bounded(value: Any) -> Any:  # pydantic's JsonValue cannot be checked while running
    """Refuse an argument of a network that is nested or out of all proportion."""
    values = value if isinstance(value, list) else [value]
    if len(values) > MOST or any(isinstance(one, list | dict) for one in values):
        raise ValueError("expected a plain value or a list of some")
    if any(isinstance(one, int | float) and not abs(one) <= MOST for one in values):
        raise ValueError(f"expected at most {MOST}")
    return value


Name = Annotated[str, Field(min_length=1, max_length=MOST)]
Argument = Annotated[JsonValue, AfterValidator(_bounded)]
Facts = dict[str, str | dict[str, str]]


class Header(BaseModel):
    """A part of a header; parts that a later version adds are not looked at, and numbers are finite."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class NetworkHeader(Header):
    """The part that every file of weights has: the network's name and arguments."""

    network: Name
    arguments: dict[Name, Argument]


AnyHeader = TypeVar("AnyHeader", bound=Header)


def typed_header(model: type[AnyHeader], header: Mapping[str, Any], path: str | Path) -> AnyHeader:
    """The header of a model file with its types.

    Args:
        model: The types.
        header: Plain values, as the file has them.
        path: The file, for the error line.

    Raises:
        UserError: A value is missing, of the wrong type or out of range.
    """
    try:
        return model.model_validate(dict(header))
    except ValidationError as error:
        raise UserError(f"{path}: its header is damaged ({fault_text(model, error)}); {AGAIN}") from error


def refuse_other_method(header: Mapping[str, Any], method: str, path: str | Path) -> None:
    """Refuse the model of a method other than the expected one.

    Raises:
        UserError: The header names another method, or none.
    """
    if header.get("method") != method:
        came = cut(str(header.get("method", "nameless")))
        raise UserError(f"{path}: a {came} model; expected one of method {method}")


def network_in(
    name: str, arguments: Mapping[str, object], weights: Mapping[str, Tensor], path: str | Path
) -> nn.Module:
    """The network that a header names, with the weights of its file.

    Raises:
        UserError: No such network, arguments that it does not take, or weights of another one.
    """
    try:
        return network_with(name, arguments, weights)
    except (ValueError, TypeError, ArithmeticError) as error:
        reason = cut(str(error).splitlines()[0]) if str(error) else type(error).__name__
        raise UserError(f"{path}: its header does not fit its weights ({reason}); {AGAIN}") from error
