"""The way of a frame to a verdict: sampler, faces, quality, classifier, window, verdict.

Synchronous and pure; time is injected.
"""
