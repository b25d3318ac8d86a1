"""What a model must be like to be delivered."""
