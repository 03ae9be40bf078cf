"""State in three SQLite files below the data directory, shared by all workers of a machine."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from gateway.core.ports import Runtime
from gateway.core.state import State
from gateway.state.answers_file import AnswersFile
from gateway.state.audits_shared import AuditsFile, SharedAudits
from gateway.state.base import StateConfig
from gateway.state.bulletin import SharedBulletin, in_file
from gateway.state.keys_file import KeysFile
from gateway.state.ledger_file import LedgerFile
from gateway.state.limits_file import LimitsFile
from gateway.state.tallies import SharedTallies
from gateway.state.tallies_file import in_file as tallies_in_file


class SqliteConfig(StateConfig, frozen=True, tag="sqlite", kw_only=True):
    """Files in the data directory; nothing else to run. All workers share them."""

    @asynccontextmanager
    async def open(self, runtime: Runtime, data: Path) -> AsyncIterator[State]:
        """Open the files, which are made at first. Raises StateUnavailable."""
        async with AsyncExitStack() as stack:
            limits = LimitsFile(data, runtime.clock)
            ledger = LedgerFile(data, runtime.clock)
            for writer in (limits.writer, ledger.writer):
                await writer.start()
                stack.push_async_callback(writer.close)
            answers = AnswersFile(data, runtime.clock, limits.now, self.answers)
            await answers.start()
            stack.push_async_callback(answers.close)
            keys = KeysFile(ledger.writer, runtime.clock)
            shared = in_file(ledger.writer, runtime.clock)
            bulletin = SharedBulletin(shared, runtime.clock, runtime.new_id())
            audits = SharedAudits(AuditsFile(ledger.writer), runtime.clock)
            tallies = SharedTallies(tallies_in_file(ledger.writer), limits.now, runtime.clock)
            stack.push_async_callback(tallies.look)
            for name, work in (
                ("sweep limits", limits.keep_swept()),
                ("follow keys", keys.keep_followed()),
                ("follow health", bulletin.keep_current()),
                ("follow audits", audits.keep_followed()),
                ("share tallies", tallies.keep_current()),
                *answers.tasks(),
            ):
                stack.callback(runtime.spawn(name, work).cancel)

            def problem() -> str:
                return limits.writer.problem or ledger.writer.problem

            yield State(limits, keys, ledger, bulletin, answers, audits, tallies, problem)
