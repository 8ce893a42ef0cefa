"""Makes the bench's modules importable: `from context import stats`."""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "bench"))
