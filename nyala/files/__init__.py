# SPDX-License-Identifier: Apache-2.0
"""Reading and writing: one safe reader and one atomic writer per format; nothing else opens files of models."""
