"""The Run folder: writing, loading, predicting, judging."""

from polytask.runs.checkpoint import read_checkpoint, write_checkpoint
from polytask.runs.device import pick_device
from polytask.runs.environment import environment
from polytask.runs.evaluation import Outputs, TaskScores, evaluating, judge, predictions, run_model
from polytask.runs.files import explained, finite, json_bytes
from polytask.runs.folder import FIRST, FORMAT, Layout, RunFolder
from polytask.runs.graph import ModelGraph, Node, facts_of
from polytask.runs.loading import load
from polytask.runs.run import Rows, Run
from polytask.runs.trace import graph_of

__all__ = [
    "FIRST",
    "FORMAT",
    "Layout",
    "ModelGraph",
    "Node",
    "Outputs",
    "Rows",
    "Run",
    "RunFolder",
    "TaskScores",
    "environment",
    "evaluating",
    "explained",
    "facts_of",
    "finite",
    "graph_of",
    "json_bytes",
    "judge",
    "load",
    "pick_device",
    "predictions",
    "read_checkpoint",
    "run_model",
    "write_checkpoint",
]
