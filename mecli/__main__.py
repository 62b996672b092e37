"""Run the command line as ``python -m mecli``."""

from mecli.cli import main

if __name__ == "__main__":
    main()
