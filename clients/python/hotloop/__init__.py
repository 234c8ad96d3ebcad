"""Client of Hotloop's front door (REST): predictions, outcomes, corrections, events and reference tables."""

from .client import Hotloop, HotloopError, OutcomeResult, Prediction, Ranked, Upload

__all__ = ["Hotloop", "HotloopError", "OutcomeResult", "Prediction", "Ranked", "Upload"]
