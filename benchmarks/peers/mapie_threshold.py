"""A cut-off with precision >= 0.8 at 95% confidence by MAPIE's risk control."""

import sys
import warnings

import numpy as np
from mapie.risk_control import BinaryClassificationController
from pyarrow import parquet

warnings.simplefilter("ignore")

table = parquet.read_table(sys.argv[1], columns=["score", "label"])
controller = BinaryClassificationController(
    lambda x: np.column_stack([1 - x[:, 0], x[:, 0]]),
    risk="precision",
    target_level=0.8,
    confidence_level=0.95,
)
controller.calibrate(table["score"].to_numpy()[:, None], table["label"].to_numpy())
print(controller.best_predict_param)
