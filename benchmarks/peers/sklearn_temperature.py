"""The temperature that scikit-learn fits to logits in a file."""

import sys

import numpy as np
from sklearn.calibration import _TemperatureScaling

z, y = np.load(sys.argv[1]), np.load(sys.argv[2])
print(1 / _TemperatureScaling().fit(z, y).beta_)
