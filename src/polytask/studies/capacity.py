"""As many parameters in T single-task nets as in one shared model: an encoder with all its widths scaled."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from polytask.config import Choice, as_choice, settings_of, written
from polytask.encoders import ENCODERS, Encoder
from polytask.errors import ConfigError
from polytask.feature import InputSpec

#: Halvings of the range of factors: widths up to a million are told apart.
HALVINGS = 40
#: Widths are multiplied by this at most.
LARGEST_FACTOR = 2.0**20


def scaled_to(
    encoder: Choice[Encoder], spec: InputSpec, count: Callable[[Choice[Encoder]], int], wanted: int
) -> Choice[Encoder]:
    """The encoder whose widths, all multiplied by one factor and rounded, come nearest to a number of parameters.

    What scales is what the encoder's class names in `width_settings`, the widths of encoders inside it (a fusion's
    table and images) included; depth, embeddings of categories and all else stay. No width falls below 1: where even
    that has too many parameters, it is the answer.

    Args:
        encoder: the choice to scale.
        spec: what it reads.
        count: the parameters of the model, or of the T nets, that have such an encoder; rises with its widths.
        wanted: parameters.

    Raises:
        ConfigError: the encoder has no widths to scale.

    Example:
        >>> from polytask.encoders import MLP
        >>> spec = InputSpec(numbers=("age", "hours"))
        >>> def of_two_nets(choice):
        ...     return 2 * sum(p.numel() for p in choice(spec).parameters())
        >>> of_two_nets(MLP.with_(widths=(64, 32)))
        4544
        >>> scaled_to(MLP.with_(widths=(64, 32)), spec, of_two_nets, wanted=2272).settings["widths"]
        (45, 22)
    """
    check_scales(encoder, spec)
    counted: dict[str, int] = {}

    def parameters(factor: float) -> int:
        choice = scaled(encoder, factor)
        key = repr(choice)
        if key not in counted:
            counted[key] = count(choice)
        return counted[key]

    high = 1.0
    while parameters(high) < wanted and high < LARGEST_FACTOR:
        high *= 2
    low = high / 2
    while parameters(low) > wanted and scaled(encoder, low) != scaled(encoder, low / 2):
        low /= 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if parameters(middle) < wanted:
            low = middle
        else:
            high = middle
    return scaled(encoder, min((low, high), key=lambda factor: abs(parameters(factor) - wanted)))


def scaled(encoder: Choice[Encoder], factor: float) -> Choice[Encoder]:
    """The encoder with all its widths multiplied by a factor and rounded, none below 1.

    Raises:
        ConfigError: the encoder has no widths to scale.

    Example:
        >>> from polytask.encoders import LeNet
        >>> dict(scaled(LeNet.with_(), 0.5).settings)
        {'channels': (3, 8), 'widths': (60, 42)}
    """
    names = encoder.constructor.width_settings
    if not names:
        raise ConfigError(
            f"encoder: {encoder.constructor.__name__} has no widths to scale to a number of parameters; "
            "its class names them in width_settings"
        )
    settings: Mapping[str, Any] = {
        name: parameter.default for name, parameter in settings_of(encoder.constructor).items() if name in names
    } | dict(encoder.settings)
    return Choice(
        encoder.constructor,
        {name: _scaled(value, factor) if name in names else value for name, value in settings.items()},
    )


def _scaled(value: Any, factor: float) -> Any:
    """A width, several of them, or an encoder inside."""
    if isinstance(value, int):
        return max(1, round(value * factor))
    if isinstance(value, (tuple, list)):
        return tuple(_scaled(width, factor) for width in value)
    return written(scaled(as_choice(value, ENCODERS, "encoder"), factor), ENCODERS, "encoder")


def check_scales(encoder: Choice[Encoder], spec: InputSpec) -> None:
    """Refuses an encoder without widths, or whose widths change nothing: an MLP without layers has none to scale.

    Raises:
        ConfigError: it has none.
    """
    with torch.random.fork_rng(devices=[]):
        sizes = [sum(p.numel() for p in choice(spec).parameters()) for choice in (encoder, scaled(encoder, 2.0))]
    if sizes[0] == sizes[1]:
        raise ConfigError(
            f"encoder: {encoder.constructor.__name__} has no layer here whose width could be scaled to a number of "
            "parameters; give it widths"
        )
