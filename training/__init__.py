"""How the built-in models are made: synthetic data, training, evaluation, export. No part of the package."""
