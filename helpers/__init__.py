"""Tools for the optimisation landscapes of GANs: one small module an idea."""

__version__ = "0.1.0"
