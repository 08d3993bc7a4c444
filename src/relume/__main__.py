"""`python -m relume` is `relume`."""

from relume.cli.main import main

main()
