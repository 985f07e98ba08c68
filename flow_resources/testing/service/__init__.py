"""The imitated service itself: accounts, bids, machines, volumes, and the market. No HTTP in here."""
