"""Makes the bench's modules importable: `from context import stats`."""

import signal
import sys
from pathlib import Path

for number in (signal.SIGINT, signal.SIGHUP):  # what starts the tests may ignore them
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

sys.dont_write_bytecode = True
TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "bench"))


def runs(pid):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
