"""The data owner's half: the model without its linear layers, encrypted products, adapters and checks. Secret."""
