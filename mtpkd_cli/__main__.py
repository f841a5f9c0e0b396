"""`python -m mtpkd_cli` is `mtpkd`."""

from mtpkd_cli.main import main

if __name__ == "__main__":
    main()
