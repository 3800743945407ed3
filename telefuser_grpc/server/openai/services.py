"""The services of the OpenAI images and models, wired."""

import time

import grpc

from telefuser_grpc._gen.openai.v1 import (
    image_service_pb2,
    image_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
)
from telefuser_grpc.scheduler.admission import Admission
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.ports import Uploads
from telefuser_grpc.scheduler.service import Service
from telefuser_grpc.server.links import Links
from telefuser_grpc.server.openai.gallery import Gallery
from telefuser_grpc.server.openai.images import ImageServicer
from telefuser_grpc.server.openai.models import ModelServicer

MODULES = (image_service_pb2, model_service_pb2)


def add_image_services(
    server: grpc.aio.Server,
    *,
    tasks: Desk,
    admission: Admission,
    uploads: Uploads,
    service: Service,
    gallery: Gallery,
    links: Links,
    max_json_bytes: int,
) -> None:
    """Lets a server answer `openai.v1.ImageService` and `openai.v1.ModelService`."""
    image_service_pb2_grpc.add_ImageServiceServicer_to_server(
        ImageServicer(
            tasks=tasks,
            admission=admission,
            uploads=uploads,
            gallery=gallery,
            links=links,
            max_json_bytes=max_json_bytes,
        ),
        server,
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        ModelServicer(service, created=int(time.time())), server
    )
