"""A process that does not answer is noticed, and one that answers is left alone."""

import asyncio
import time

from telefuser_grpc.workers.pulse import BEATS, Pulse

SILENCE_SECONDS = 0.02


class Patient:
    """Is asked, and may answer."""

    def __init__(self, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self.answers = True
        self.questions = 0
        self.is_silent = asyncio.Event()
        self.pulse = Pulse(
            ask=self._take,
            on_silence=self.is_silent.set,
            silence_seconds=silence_seconds,
        )
        self._answered = asyncio.Event()

    def _take(self) -> None:
        self.questions += 1
        if self.answers:
            self.pulse.heard()
        if self.questions >= 3 * BEATS:
            self._answered.set()

    async def was_asked_often(self) -> None:
        await self._answered.wait()


async def test_silence_is_told_after_unanswered_questions() -> None:
    patient = Patient()
    patient.answers = False

    patient.pulse.start()
    await patient.is_silent.wait()

    assert patient.questions == BEATS


async def test_answers_keep_it_going_until_it_is_stopped() -> None:
    patient = Patient()

    patient.pulse.start()
    await patient.was_asked_often()
    patient.pulse.stop()

    assert not patient.is_silent.is_set()


async def test_the_time_for_which_the_server_itself_stood_still_is_no_silence() -> None:
    patient = Patient(silence_seconds=0.1)

    patient.pulse.start()
    time.sleep(0.2)  # noqa: ASYNC251 - the loop shall stand still, as that of a stopped process
    await patient.was_asked_often()
    patient.pulse.stop()

    assert not patient.is_silent.is_set()


async def test_without_a_time_nothing_is_asked() -> None:
    patient = Patient(silence_seconds=0)

    patient.pulse.start()

    assert patient.pulse._timer is None
