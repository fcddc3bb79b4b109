# SPDX-License-Identifier: Apache-2.0
"""Old programs are run by tests, in processes of their own, and are no modules of this one."""

collect_ignore_glob = ["golden_programs.py", "lines.py", "programs/*"]
