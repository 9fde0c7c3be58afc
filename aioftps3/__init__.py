"""FTPS server in front of S3: explicit and implicit TLS, whole-or-nothing uploads, bounded memory."""

__all__ = ("__version__",)

__version__ = "0.1.0"
