"""`python -m leukostream` is the console command."""

from leukostream.cli import main

if __name__ == "__main__":
    main()
