"""`python -m engine.cli`, the same as `masteria`; says so when the environment is only half installed."""

import sys

OURS = ("engine", "console", "kanban_widget")

try:
    from engine.cli.app import main
except ModuleNotFoundError as missing:
    if missing.name is None or missing.name.split(".")[0] in OURS:
        raise
    sys.exit(f"The environment is half installed: {missing.name} is missing. Run `make repair`, then again.")

if __name__ == "__main__":
    main()
