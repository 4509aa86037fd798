"""What `Instances` are made of: arrays, masks as text and as outlines, others' detections."""
