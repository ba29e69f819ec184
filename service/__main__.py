"""`python -m service` is `risk-alerts`."""

from service.cli.main import main

if __name__ == "__main__":
    main()
