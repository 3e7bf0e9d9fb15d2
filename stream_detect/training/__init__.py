"""Training: makes a bundle from labelled faces and a recipe, in pure Keras 3. Serving does not import this package.

Begin with `recipe.py` (the hyperparameters) and `train.py` (the loop). `architectures.py` has the networks, `pairs.py`,
`blended_pairs.py` and `batches.py` their input; `publish.py` calibrates, measures and writes the bundle.
"""
