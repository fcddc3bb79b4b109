# SPDX-License-Identifier: Apache-2.0
"""Old programs are run by tests, in processes of their own, and are no modules of this one."""

import sys

import pytest

collect_ignore_glob = ["golden_programs.py", "lines.py", "programs/*"]


@pytest.fixture
def installed():
    """nyala.legacy.install() for one test, in a process in which others may have imported another Keras."""
    import nyala.legacy

    others = {
        name: sys.modules.pop(name)
        for name in list(sys.modules)
        if name.split(".")[0] in ("keras", "tf_keras") or name.startswith("tensorflow.keras")
    }
    tensorflow = sys.modules.get("tensorflow")
    own = vars(tensorflow).get("keras") if tensorflow is not None else None
    nyala.legacy.install()
    yield
    nyala.legacy.uninstall()
    sys.modules.update(others)
    if own is not None:
        tensorflow.keras = own
