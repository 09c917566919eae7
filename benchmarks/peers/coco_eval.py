"""Average precision at IoU 0.5 by pycocotools."""

import sys

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

truth = COCO(sys.argv[1])
run = COCOeval(truth, truth.loadRes(sys.argv[2]), "bbox")
run.params.iouThrs = run.params.iouThrs[:1]
run.evaluate()
run.accumulate()
print(run.eval["precision"].mean())
