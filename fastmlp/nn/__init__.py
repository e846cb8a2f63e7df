"""Networks and their training: layers, inputs, loss, optimiser, stopping; arrays alone, no file or process."""
