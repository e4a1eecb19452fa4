"""`python -m steelsight`, which `torchrun -m steelsight` needs."""

from steelsight.cli import main

if __name__ == "__main__":  # a process that prepares pictures may read this file again
    main()
