"""`python -m ticketlab` is the `ticketlab` command."""

from ticketlab.cli.main import main

if __name__ == "__main__":
    main()
