"""What a request's fate says of the target that it met."""

from gateway.core.condition import WINDOW, Condition, Probe
from gateway.core.errors import (
    DeadlineExceeded,
    GatewayError,
    Retry,
    UpstreamTimeout,
    is_deadline,
)
from gateway.core.exchange import Exchange
from gateway.core.health import Health, is_key_trouble, is_strike
from gateway.core.notes import Attempted, StreamEnded
from gateway.core.ports import Clock
from gateway.core.reply import Reply, Stream, Watched
from gateway.core.suspects import fingerprint


class Learning:
    """Tells targets' conditions what became of requests, and knows which requests are poison."""

    def __init__(self, health: Health, clock: Clock) -> None:
        self.suspects = health.suspects.known
        """Empty where no request failed lately, and nothing need be looked up."""
        self._suspects = health.suspects
        self._clock = clock

    def poison(self, exchange: Exchange, now: float) -> GatewayError | None:
        """Return the last error of a request that failed on every target while others did not."""
        return self._suspects.held(_name(exchange), now)

    def pardon(self, exchange: Exchange) -> None:
        """Heed that a request which had failed was answered by another target."""
        self._suspects.clear(_name(exchange))

    def answered(
        self, condition: Condition, exchange: Exchange, reply: Reply, probe: Probe | None
    ) -> None:
        """Heed an answer, and its end if it is a stream."""
        blocks = reply.blocks if isinstance(reply, Stream) else None
        streamed = blocks is not None
        began: float | None = None
        for note in reversed(exchange.notes):
            if isinstance(note, Attempted):
                began = note.ended
                tenant, seconds = exchange.caller.tenant, began - note.started
                condition.answered(began, tenant, probe, seconds, first_token=streamed)
                break
            streamed = streamed or isinstance(note, StreamEnded)
        else:  # another stage answered in place of the target
            condition.released(probe)
        if blocks is not None and isinstance(blocks, Watched):
            blocks.then(lambda: self._ended(condition, exchange, began))
        else:
            condition.outstanding -= 1

    def _ended(self, condition: Condition, exchange: Exchange, began: float | None) -> None:
        """Heed how a stream ended: one that breaks was no answer, though nobody else can help."""
        condition.leave()
        end = exchange.notes.last(StreamEnded)
        if began is not None and end is not None and end.reason == "upstream_cut":
            condition.broke(self._clock.monotonic(), exchange.caller.tenant, began)

    def interrupted(
        self, condition: Condition, exchange: Exchange, probe: Probe | None, deadline: float
    ) -> None:
        """Heed that the caller left, or that the deadline came before an answer did."""
        condition.leave()
        now = self._clock.monotonic()
        if deadline <= now and deadline < exchange.own_deadline and _was_late(condition, exchange):
            condition.failed(now, exchange.caller.tenant, probe, telling=True)
        else:
            condition.released(probe)

    def failed(
        self,
        condition: Condition,
        exchange: Exchange,
        error: GatewayError,
        probe: Probe | None,
        *,
        targets: int,
    ) -> bool:
        """Heed a failure; return whether it shows the request to be poison.

        `targets` is how many the request may go to.
        """
        now, tenant = self._clock.monotonic(), exchange.caller.tenant
        hurried = isinstance(error, DeadlineExceeded)  # by the caller itself
        if hurried or (is_deadline(error) and not _was_late(condition, exchange)):
            condition.released(probe)
            return False
        if error.retry is Retry.NEVER:
            condition.answered(now, tenant, probe)
            return False
        if is_key_trouble(error):
            condition.denied(now, probe, error.code)
            return False
        attempt = exchange.notes.last(Attempted)
        if error.retry is Retry.SAME:
            condition.pause(now, error.retry_after, attempt.started if attempt else now)
        if not is_strike(error):
            condition.released(probe)
            return False
        if isinstance(error, UpstreamTimeout):
            waited = attempt.ended - attempt.started if attempt else 0.0
            condition.waited(waited, now, first_token=exchange.request.stream)
        suspects, name = self._suspects, _name(exchange)
        telling = suspects.strike(name, condition, now)
        answers_others = now - condition.answered_at <= WINDOW
        poison = answers_others and suspects.accuse(name, error, targets, now)
        if condition.failed(now, tenant, probe, telling=telling):
            suspects.blame(name)
        return poison


def _was_late(condition: Condition, exchange: Exchange) -> bool:
    """Whether the last attempt got nothing for as long as an answer takes at this target.

    That a policy allows less time than that says nothing of the target.
    """
    attempt = exchange.notes.last(Attempted)
    if attempt is None or not attempt.code:
        return False
    return condition.late(attempt.ended - attempt.started, attempt.ended)


def _name(exchange: Exchange) -> bytes:
    return fingerprint(exchange.caller.tenant, exchange.request.body)
