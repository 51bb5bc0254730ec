"""What a person, a schedule or an event may wish of one retrain, instead of what the config says: words shared by YAML and form."""

from __future__ import annotations

from typing import Literal

Tune = Literal["as configured", "always", "auto", "never"]
Promote = Literal["auto", "ask", "never"]
"""auto: the gate decides; ask: what would be promoted waits for a person; never: nothing is registered."""
