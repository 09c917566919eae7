"""What each metric means, in a line; the words are those of the command line's contract."""

from __future__ import annotations

from typing import Final

from calibcli.core.metrics.further.registry import FURTHER

METRICS: Final = {
    "n": "rows",
    "prevalence": "share of label 1",
    "accuracy": "share of rows whose predicted class is right",
    "mean_score": "mean score; equals prevalence (multi-class: accuracy) when honest on average",
    "ece": "mean gap between score and frequency over the bins, weighted by rows",
    "ece_debiased": "root of the squared gap with its upward bias removed (Kumar et al. 2019)",
    "mce": "the largest gap of a bin",
    "ace": "mean gap over the bins that hold rows, unweighted",
    "classwise_ece": "mean over classes of each class's ECE",
    "top_label_ece": "ECE given the predicted class as well (Gupta and Ramdas 2022)",
    "smooth_ece": "ECE without bins, by kernel smoothing (Błasiok and Nakkiran 2023)",
    "ks": "largest running sum of label minus score; needs no bins",
    "kuiper": "range of the running sum of label minus score; needs no bins",
    "brier": "mean squared error of the scores",
    "brier_miscalibration": "the part of Brier that calibration can remove (CORP)",
    "brier_discrimination": "the part of Brier won by telling rows apart (CORP)",
    "brier_uncertainty": "the part of Brier that the labels alone cause (CORP)",
    "nll": "log loss: mean of -log of the probability given to what happened",
    "auc": "chance that a positive row scores above a negative one",
    "average_precision": "mean precision over recall, without interpolation",
    "spiegelhalter_z": "Spiegelhalter's statistic; far from 0 speaks against calibration",
    "spiegelhalter_p": "its two-sided p-value",
    "hosmer_lemeshow_p": "p-value of the Hosmer-Lemeshow test",
    **{name: figure.means for name, figure in FURTHER.items()},
}

HEADLINE: Final = {
    "ece": "calibration error",
    "brier": "squared error",
    "nll": "log loss",
    "auc": "ranking",
    "accuracy": "predicted class is right",
}
