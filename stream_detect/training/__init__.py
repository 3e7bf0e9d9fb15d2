"""Training, conversion and evaluation of models in pure Keras 3. Nothing on the serving side imports this room."""
