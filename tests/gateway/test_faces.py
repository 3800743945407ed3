"""A gateway knows the paths of what its server is for, and no others."""

from telefuser_grpc.gateway.descriptors import Face, http_routes, rpc_methods
from telefuser_grpc.gateway.options import GatewayOptions
from telefuser_grpc.gateway.render import render
from telefuser_grpc.gateway.routes import routing_table

STREAM_PATHS = {
    ("POST", "/v1/stream/webrtc/offer"),
    ("DELETE", "/v1/stream/webrtc/{session_id}"),
    ("DELETE", "/v1/stream/sessions/{session_id}"),
    ("GET", "/v1/stream/sessions/{session_id}/status"),
}


def _paths(face: Face) -> set[tuple[str, str]]:
    return {(each.verb, each.path_template) for each in http_routes(face)}


def _services(face: Face) -> set[str]:
    return {each.containing_service.full_name for each in rpc_methods(face)}


def test_sessions_have_their_paths_the_service_and_the_documentation() -> None:
    paths = _paths(Face.SESSIONS)

    others = {path for _, path in paths - STREAM_PATHS}
    assert paths >= STREAM_PATHS
    assert all(path.startswith(("/v1/service/", "/docs", "/redoc", "/openapi")) for path in others)


def test_tasks_have_no_path_of_sessions() -> None:
    assert not _paths(Face.TASKS) & STREAM_PATHS


def test_every_service_has_a_face() -> None:
    shared = _services(Face.TASKS) & _services(Face.SESSIONS)

    assert shared == {
        "telefuser.v1.SystemService",
        "telefuser.rest.v1.RestSystemService",
        "telefuser.rest.v1.RestDocsService",
    }
    assert "telefuser.v1.SessionService" in _services(Face.SESSIONS) - _services(Face.TASKS)


def test_envoy_transcodes_the_services_of_its_face_alone() -> None:
    config = render(GatewayOptions(upstream="/run/server.sock", face=Face.SESSIONS))

    listener = config["static_resources"]["listeners"][0]
    filters = listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
    (transcoder,) = [each for each in filters if each["name"].endswith("grpc_json_transcoder")]
    assert transcoder["typed_config"]["services"] == [
        "telefuser.rest.v1.RestDocsService",
        "telefuser.rest.v1.RestStreamService",
        "telefuser.rest.v1.RestSystemService",
    ]


def test_call_that_lasts_a_session_has_no_time_limit() -> None:
    options = GatewayOptions(upstream="/run/server.sock", face=Face.SESSIONS)

    table = routing_table(http_routes(Face.SESSIONS), rpc_methods(Face.SESSIONS), options)

    (route,) = [
        each
        for each in table
        if each["match"].get("path") == "/telefuser.v1.SessionService/Interact"
    ]
    assert route["route"]["timeout"] == "0s"


def test_page_for_people_is_that_of_the_face() -> None:
    homes = {}
    for face in Face:
        options = GatewayOptions(upstream="/run/server.sock", ui_port=8001, face=face)
        (home,) = [
            each
            for each in routing_table(http_routes(face), rpc_methods(face), options)
            if each["name"] == "home"
        ]
        homes[face] = home["redirect"]["path_redirect"]

    assert homes == {
        Face.TASKS: "/docs/assets/studio.html",
        Face.SESSIONS: "/docs/assets/session.html",
    }
