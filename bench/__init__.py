"""Measures connlog in CPU seconds and peak memory, beside plain tools that read the same files in the same run."""
