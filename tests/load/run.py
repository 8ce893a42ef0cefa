"""run.py torc-load torc-lab ENGINE MODULE: the tests of one file."""

import subprocess
import sys
import unittest

import rig

if __name__ == "__main__":
    rig.LOAD, rig.LAB, rig.ENGINE, module, *rest = sys.argv[1:]
    asked = subprocess.run([rig.LAB, "--engine", rig.ENGINE, "--check"], capture_output=True, text=True)
    if asked.returncode == 3:
        print(asked.stderr.strip() or "the kernel refuses the engine")
        sys.exit(77)
    unittest.main(module=module, argv=[module, *rest], verbosity=2)
