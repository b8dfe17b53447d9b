"""`python -m polytask`: the command line."""

from polytask.cli import main

if __name__ == "__main__":
    main()
