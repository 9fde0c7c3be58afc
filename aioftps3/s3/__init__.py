"""An S3 client of its own: hand-made SigV4 over aiohttp. It imports nothing else of aioftps3."""
