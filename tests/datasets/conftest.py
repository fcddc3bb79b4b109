# SPDX-License-Identifier: Apache-2.0
"""Small files in the true formats, as the official ones: see test_datasets_official; and a server that breaks off."""

from tests.files.downloads.conftest import no_pauses, server  # noqa: F401  fixtures
from tests.test_datasets_official import home, mirror, poison, server_files  # noqa: F401  fixtures
