"""The analysis of a stream: what turns a sampled frame into a verdict. Begin with `pipeline`, which joins the stages.

Synchronous and pure; time is injected.
"""
