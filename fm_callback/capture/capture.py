from fm_callback.capture.extractor import Capture, Captured
