# SPDX-License-Identifier: Apache-2.0
"""What pytest leaves out: examples in files of engines that are not installed here."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("tensorflow") else ["nyala/engines/*tensorflow*.py"]
