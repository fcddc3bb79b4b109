# SPDX-License-Identifier: Apache-2.0
"""python -m nyala.testing ENGINE [NAME ...]: check an engine, all of it or what is named; exit 1 if something fails."""

from __future__ import annotations

import argparse
import sys

from nyala.testing.contract import check_engine


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m nyala.testing", description="Put an engine through the contract of nyala.engines.protocol.")
    parser.add_argument("engine", help="its name, as for nyala.set_backend")
    parser.add_argument("only", nargs="*", help="primitives, or beginnings of checks such as transform or fast")
    parser.add_argument("-v", "--verbose", action="store_true", help="print each check as it ends")
    arguments = parser.parse_args()
    report = check_engine(arguments.engine, arguments.only or None, arguments.verbose)
    print(report)
    return 0 if report else 1


if __name__ == "__main__":
    sys.exit(main())
