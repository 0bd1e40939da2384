"""`python -m classtoken`."""

from classtoken.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
