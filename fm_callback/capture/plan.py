from fm_callback.capture.extractor import Plan, plan, read_channels
Plan.planar = property(lambda self: len(self.shape) == 3)
