"""What the product is: its words, storage, flows and start-up."""

__version__ = "0.1.0"
