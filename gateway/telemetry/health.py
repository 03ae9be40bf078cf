"""The health of targets for operators, in the log."""

from gateway.telemetry.log import Log


class HealthNews:
    """Writes what an operator should know of providers."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def denied(self, provider: str, detail: str) -> None:
        """Say that our key was refused, once for every time that it is tried again."""
        self._log.error(
            "a provider refuses our key: mend it, it is tried again; one in env: after a restart",
            provider=provider,
            code=detail,
        )

    def restored(self, provider: str) -> None:
        """Say that a key works which had been refused."""
        self._log.info("a provider takes our key again", provider=provider)

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
