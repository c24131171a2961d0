"""One thread: test processes run side by side, and networks this small gain nothing from more."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
