"""Python loads this module at the start of a service that is to have a known bug; the bug is planted here."""

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from proving.bugs import BUGS

BUGS[os.environ["RETROBUS_PLANTED"]].plant()
