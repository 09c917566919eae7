"""ECE by a library for PyTorch: `torch_ece.py netcal|torchmetrics FILE`."""

import sys

from pyarrow import parquet

table = parquet.read_table(sys.argv[2], columns=["score", "label"])
p, y = table["score"].to_numpy(), table["label"].to_numpy()
if sys.argv[1] == "netcal":
    from netcal.metrics import ECE

    print(ECE(15).measure(p, y))
else:
    import torch
    from torchmetrics.functional.classification import binary_calibration_error

    print(binary_calibration_error(torch.tensor(p), torch.tensor(y), n_bins=15, norm="l1"))
