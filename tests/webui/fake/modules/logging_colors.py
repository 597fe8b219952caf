"""Stands in for the webui's `modules.logging_colors`: its one logger."""

import logging

logger = logging.getLogger("textgen")
logger.setLevel(logging.DEBUG)
