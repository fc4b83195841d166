"""The sample project: the whole main job on one scan, from opening it to the verdict."""
