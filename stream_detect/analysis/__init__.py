"""The analysis of a stream, from sampled frames to verdicts. Begin with `pipeline`, which connects the stages.

Synchronous and pure; time is injected.
"""
