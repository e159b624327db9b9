"""``python -m askai``."""

from askai.cli import main

if __name__ == "__main__":
    main()
