"""Runnable examples: they speak to the app through the official SDK only, as any application would."""
