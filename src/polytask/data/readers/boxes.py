"""Boxes of pictures, as [x_min, y_min, x_max, y_max] counted from the picture's upper left corner."""

from collections.abc import Sequence

import numpy as np

from polytask.errors import SchemaError

#: How far outside its picture a box may reach, in pixels: rounding, not a mistake.
TOLERANCE = 0.5
#: The kinds of the columns that tables of boxes have; what is known of a picture is none of its inputs.
KINDS = {"image": "image", "width": "id", "height": "id"}


def check_box(box: Sequence[float], width: float, height: float, place: str) -> list[float]:
    """A box inside its picture; what is within the tolerance is cut at the border.

    Raises:
        SchemaError: it lies outside, has no area, or is no four finite numbers.
    """
    x_min, y_min, x_max, y_max = box
    if not np.isfinite(box).all() or x_max <= x_min or y_max <= y_min:
        raise SchemaError(f"{place}: the box {list(box)} has no area; x_min < x_max and y_min < y_max are wanted")
    outside = max(-x_min, -y_min, x_max - width, y_max - height)
    if outside > TOLERANCE:
        raise SchemaError(
            f"{place}: the box {list(box)} reaches {outside:g} pixels outside its picture of {width:g} × {height:g}"
        )
    return [max(x_min, 0.0), max(y_min, 0.0), min(x_max, float(width)), min(y_max, float(height))]
