"""Bugs that are planted into a product under test, so that the chaos runner can be seen to find them.

Nothing in the product knows of them. A process that finds this folder on its PYTHONPATH and names in MASTERIA_PLANTED
imports `sitecustomize.py` at its start, which changes a module as soon as it has been loaded.
"""
