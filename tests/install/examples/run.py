"""run.py BUILD-DIR COMPILER ENGINE NAME: builds NAME.c from the installed library and runs the tests of test_NAME.py.

COMPILER has its arguments, as one word."""

import sys
import unittest

import rig

if __name__ == "__main__":
    rig.BUILD, compiler, rig.ENGINE, name, *rest = sys.argv[1:]
    rig.COMPILER = compiler.split()
    unittest.main(module="test_" + name, argv=[name, *rest], verbosity=2)
