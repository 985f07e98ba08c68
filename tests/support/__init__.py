"""What tests share: a model of the engine (`stack`) and the real one (`engine`)."""
