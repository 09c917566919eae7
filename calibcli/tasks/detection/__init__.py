"""Detection: boxes matched to ground truth become pairs; missed objects are counted beside."""
