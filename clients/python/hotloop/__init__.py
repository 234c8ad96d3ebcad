"""Client of Hotloop (REST): predictions, outcomes, corrections, events, reference tables, models and datasets."""

from .client import Corrections, Hotloop, HotloopError, OutcomeResult, Prediction, Pushed, Ranked, Upload

__all__ = ["Corrections", "Hotloop", "HotloopError", "OutcomeResult", "Prediction", "Pushed", "Ranked", "Upload"]
