# SPDX-License-Identifier: Apache-2.0
"""For whoever brings an engine: its contract as a test suite. Start at `check_engine`, or run `python -m nyala.testing NAME`.

Needs SciPy, which is not a dependency of Nyala: pip install 'nyala[test]'.
"""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    "nyala.testing",
    {
        "Check": "nyala.testing.contract:",
        "ContractError": "nyala.testing.compare:",
        "Report": "nyala.testing.contract:",
        "check_engine": "nyala.testing.contract:",
        "check_layer": "nyala.testing.layers:",
        "engine_checks": "nyala.testing.contract:",
        "installed_engines": "nyala.testing.layers:",
    },
)
