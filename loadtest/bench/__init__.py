"""What a request and a streamed chunk cost, beside a bare aiohttp relay on the same core."""
