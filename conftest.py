# SPDX-License-Identifier: Apache-2.0
"""What pytest leaves out: examples in files of engines that are not installed here."""

import importlib.util

collect_ignore_glob = [f"nyala/engines/*{name}*.py" for name in ("pytensor", "tensorflow") if not importlib.util.find_spec(name)]
