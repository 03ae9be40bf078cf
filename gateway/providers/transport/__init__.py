"""The one door to upstreams: pooled HTTP/1.1 connections, and what their failures mean."""
