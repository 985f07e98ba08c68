"""The imitated service without HTTP: accounts, bids, instances, reservations, volumes, and the market."""
