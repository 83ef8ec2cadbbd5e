"""`python -m recaption COMMAND`."""

from recaption.cli import main

if __name__ == "__main__":
    main()
