"""From a captured step to what is on disk, behind the training thread."""
