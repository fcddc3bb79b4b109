# SPDX-License-Identifier: Apache-2.0
"""The one trainer: compile, fit, evaluate, predict. Start at trainer.py, then loop.py, objectives.py and data.py."""
