"""`fit --promote-over`: replace a calibrator only by a better one."""
