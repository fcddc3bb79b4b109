# SPDX-License-Identifier: Apache-2.0
"""The heart: variables, scopes, transforms, symbolic tensors and the @op boundary. Start at variable.py, then transforms.py and op.py."""
