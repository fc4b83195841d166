"""Geometry, volumes, labels and the small Qt-free tools everything stands on."""
