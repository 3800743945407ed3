"""The stream process: loads one file, then runs what the server orders until that goes."""

import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec
import structlog

from telefuser_grpc.domain.session import ClientMessage
from telefuser_grpc.pipeline.loader import PipelineLoadError
from telefuser_grpc.pipeline.stream_service import StreamService, load_stream
from telefuser_grpc.workers.channel import MSGPACK, BlockingChannel
from telefuser_grpc.workers.child import exit_after, live
from telefuser_grpc.workers.loading import settle
from telefuser_grpc.workers.streams.messages import (
    Close,
    Closed,
    Create,
    FromServer,
    Load,
    Loaded,
    LoadFailed,
    Ping,
    Pong,
    Pull,
    Push,
    Serve,
    Shutdown,
    Taken,
)
from telefuser_grpc.workers.streams.output import ProcessChannel
from telefuser_grpc.workers.streams.talk import Occupant, Request, Talk

logger = structlog.get_logger()


def serve_streams(descriptor: int, *, on_end: Callable[[], None]) -> NoReturn:
    """Serves the socket with this number, then ends the process after calling `on_end`."""
    live(descriptor, _serve, on_end=on_end)


class Desk:
    """Takes the server's frames, and knows what each number stands for."""

    def __init__(self, channel: ProcessChannel) -> None:
        self.service: StreamService | None = None
        self._channel = channel
        self._orders: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._occupants: dict[int, Occupant] = {}
        self._ids: set[str] = set()
        self._changed = threading.Condition()

    def listen(self) -> None:
        """Takes frames until the server's death; never waits for a pipeline."""
        while (frame := self._channel.receive()) is not None:
            match frame:
                case Ping():
                    self._channel.send(Pong())
                case Shutdown():
                    self._orders.put(None)
                case _:
                    self._take(frame)

    def wait_for_shutdown(self) -> None:
        """Waits for the order to leave, then closes everything."""
        self._orders.get()
        with self._changed:
            for each in self._occupants.values():
                each.close()
            self._changed.wait_for(lambda: not self._occupants)

    def _take(self, frame: FromServer) -> None:
        match frame:
            case Create(number, config):
                self._create(number, config)
            case Serve(number, request):
                self._request(number, request)
            case Taken(number) | Close(number) | Pull(number) | Push(number):
                if occupant := self._occupants.get(number):
                    _tell(occupant, frame)

    def _create(self, number: int, config: bytes) -> None:
        assert self.service is not None, "the server waits for Loaded"
        talk = Talk(
            number,
            self.service,
            self._channel,
            self._claim,
            lambda name: self._forget(number, name),
        )
        self._occupants[number] = talk
        talk.begin(msgspec.json.decode(config))

    def _request(self, number: int, request: bytes) -> None:
        assert self.service is not None, "the server waits for Loaded"
        asked = Request(number, self.service, self._channel, lambda: self._forget(number, ""))
        self._occupants[number] = asked
        asked.begin(msgspec.json.decode(request))

    def _claim(self, name: str) -> bool:
        with self._changed:
            is_free = name not in self._ids
            self._ids.add(name)
            return is_free

    def _forget(self, number: int, name: str) -> None:
        """Tells that a number is done with; whoever hears that may use its id again."""
        with self._changed:
            self._ids.discard(name)
        self._channel.send(Closed(number))
        with self._changed:
            del self._occupants[number]
            self._changed.notify_all()


def _tell(occupant: Occupant, frame: FromServer) -> None:
    match frame, occupant:
        case Taken(), _:
            occupant.taken()
        case Close(), _:
            occupant.close()
        case Pull(), Talk():
            occupant.pull()
        case Push(), Talk():
            occupant.push(_message(frame))


def _message(push: Push) -> ClientMessage:
    if push.media is not None:
        return push.media
    if push.data is not None:
        return push.data
    told: dict[str, object] = msgspec.json.decode(push.json)
    return told


def _serve(end: socket.socket) -> None:
    channel: ProcessChannel = BlockingChannel(end, FromServer, MSGPACK)
    order = channel.receive()
    if not isinstance(order, Load):
        return
    desk = Desk(channel)
    threading.Thread(target=_listen, args=(desk,), name="listen", daemon=True).start()
    service = desk.service = _load(channel, order)
    channel.send(Loaded(service.facts))
    desk.wait_for_shutdown()
    service.stop()


def _load(channel: ProcessChannel, order: Load) -> StreamService:
    try:
        service = load_stream(
            Path(order.file),
            gpu_num=order.gpu_num,
            options=order.options,
            media_roots=order.media_roots,
        )
    except PipelineLoadError as error:
        if error.__cause__:
            logger.error("stream file raised", exc_info=error.__cause__)
        channel.send(LoadFailed(str(error).encode(errors="replace").decode()))
        sys.exit(1)
    settle()
    return service


def _listen(desk: Desk) -> None:
    """Takes frames; the end of file ends the process at once, in the middle of whatever it does."""

    def listen() -> None:
        desk.listen()
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)

    exit_after(listen)
