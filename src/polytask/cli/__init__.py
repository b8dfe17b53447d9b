"""The command line: each command is a few lines over what Python offers.

Exit codes: 0 done; 1 an error of polytask itself; 2 something given was wrong (one sentence says what);
130 interrupted.
"""

from polytask.cli import study_app as study_app  # its commands join the app
from polytask.cli.app import app, main

__all__ = ["app", "main"]
