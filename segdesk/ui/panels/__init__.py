"""Groups of controls."""
