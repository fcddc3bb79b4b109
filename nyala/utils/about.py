# SPDX-License-Identifier: Apache-2.0
"""The version."""


def version() -> str:
    """The version of Nyala.

    >>> version()
    '0.1.0'
    """
    from nyala import __version__

    return __version__
