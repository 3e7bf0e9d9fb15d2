"""Training: from labelled faces and a recipe to a bundle, in pure Keras 3. Nothing that serves imports this package.

Begin with `recipe.py` (the numbers) and `train.py` (the loop). `architectures.py` has the networks, `pairs.py`,
`blended_pairs.py` and `batches.py` what they are shown; `publish.py` calibrates, measures and writes the bundle.
"""
