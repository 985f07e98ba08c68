"""The texts that run on machines: files of their own, which the start-up script carries."""
