"""The chat page. Gradio is imported below this package alone.

The environment is set here because Gradio and the hub client read it when they are imported.
"""

from __future__ import annotations

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_OFFLINE", "1")
