"""`python -m auditpack` is the command line."""

from auditpack.cli import main

if __name__ == "__main__":
    main()
