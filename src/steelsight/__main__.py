"""`python -m steelsight`, which `torchrun -m steelsight` needs."""

from steelsight.cli import main

main()
