"""Penalties on the tasks' heads and on what they give, under any sharing."""

from polytask.regularizers.base import Regularizer
from polytask.regularizers.deep_relationship import DeepRelationship
from polytask.regularizers.ordered_outputs import OrderedOutputs
from polytask.regularizers.output_agreement import OutputAgreement

#: Every regularizer by its catalogue name.
REGULARIZERS: dict[str, type[Regularizer]] = {
    "deep_relationship": DeepRelationship,
    "output_agreement": OutputAgreement,
    "ordered_outputs": OrderedOutputs,
}

__all__ = ["REGULARIZERS", "DeepRelationship", "OrderedOutputs", "OutputAgreement", "Regularizer"]
