"""The health of targets for operators: what the log says of it."""

from gateway.telemetry.log import Log


class HealthNews:
    """Writes what an operator should know of providers."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def denied(self, provider: str, detail: str) -> None:
        """Say that our key was refused, once for every time that it is tried again."""
        self._log.error(
            "a provider refuses our key: mend it, then restart", provider=provider, code=detail
        )

    def opened(self, provider: str, model: str, seconds: float) -> None:
        """Say that a target is left alone."""
        self._log.warning(
            "a target fails and is left alone",
            provider=provider,
            model=model,
            seconds=round(seconds, 1),
        )

    def closed(self, provider: str, model: str) -> None:
        """Say that a target serves again."""
        self._log.info("a target serves again", provider=provider, model=model)
