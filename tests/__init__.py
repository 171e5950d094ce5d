"""Where tests find the repository and the real speech (`DATA`), which some of them read if it is there."""

import os
from pathlib import Path

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("MINIDS_DATA", ROOT.parent / "shared" / "data"))
