"""Names: older ones that still count, those without effect, and slips of the pen."""

import pytest

from telefuser_grpc.config.names import WITHOUT_EFFECT
from tests.config.reading import Place

OLDER = [
    ("ALLOW_UNSAFE", "ALLOW_UNSAFE_PIPELINES", "allow_unsafe", "true", "false"),
    ("MAX_PPL_SIZE", "MAX_PPL_FILE_SIZE", "max_ppl_size", "2048", "4096"),
    ("RATE_LIMIT_ENABLED", "ENABLE_RATE_LIMIT", "rate_limit_enabled", "false", "true"),
    ("RATE_LIMIT_RPM", "RATE_LIMIT_REQUESTS_PER_MINUTE", "rate_limit_rpm", "100", "10000"),
    ("ENABLE_ACCESS_LOG", "ACCESS_LOG", "access_log", "false", "true"),
    ("ARTIFACT_LOCAL_ROOT", "CACHE_DIR", "cache_dir", "/artifacts", "/cache"),
]


@pytest.mark.parametrize(("_", "older", "field", "value", "other"), OLDER)
def test_older_name_counts_alone(
    _: str, older: str, field: str, value: str, other: str, place: Place
) -> None:
    place.environment[f"TELEFUSER_{older}"] = other

    loaded = place.load()

    assert str(getattr(loaded.settings, field)).lower() == other
    assert (loaded.origins[field], loaded.warnings) == (f"TELEFUSER_{older}", ())


@pytest.mark.parametrize(("name", "older", "field", "value", "other"), OLDER)
def test_documented_name_wins_over_the_older_with_a_warning(
    name: str, older: str, field: str, value: str, other: str, place: Place
) -> None:
    place.environment |= {f"TELEFUSER_{older}": other, f"TELEFUSER_{name}": value}

    loaded = place.load()

    assert str(getattr(loaded.settings, field)).lower() == value
    assert loaded.warnings == (
        f"TELEFUSER_{older} is ignored: TELEFUSER_{name} says otherwise and wins",
    )


def test_two_names_that_agree_need_no_warning(place: Place) -> None:
    place.environment |= {
        "TELEFUSER_RATE_LIMIT_RPM": "100",
        "TELEFUSER_RATE_LIMIT_REQUESTS_PER_MINUTE": "100",
    }

    assert place.load().warnings == ()


def test_explicit_cache_dir_wins_over_artifact_root_and_that_over_cache_dir(place: Place) -> None:
    place.environment |= {
        "TELEFUSER_CACHE_DIR": "/cache",
        "TELEFUSER_ARTIFACT_LOCAL_ROOT": "/artifacts",
    }

    roots = [place.load().settings.cache_dir, place.load(cache_dir="/flag").settings.cache_dir]

    assert [str(each) for each in roots] == ["/artifacts", "/flag"]


def test_names_have_any_case(place: Place) -> None:
    place.environment["telefuser_Port"] = "8080"

    loaded = place.load()

    assert (loaded.settings.port, loaded.warnings) == (8080, ())


def test_documented_case_wins_over_another(place: Place) -> None:
    place.environment |= {"telefuser_port": "1025", "TELEFUSER_PORT": "1026"}

    loaded = place.load()

    assert loaded.settings.port == 1026
    assert loaded.warnings == ("telefuser_port is ignored: TELEFUSER_PORT says otherwise and wins",)


def test_unknown_name_is_a_warning_with_the_nearest_known_one(place: Place) -> None:
    place.environment |= {"TELEFUSER_PROT": "1", "TELEFUSER_RATELIMIT_RPM": "1"}

    assert place.load().warnings == (
        "TELEFUSER_PROT is unknown; did you mean TELEFUSER_PORT?",
        "TELEFUSER_RATELIMIT_RPM is unknown; did you mean TELEFUSER_RATE_LIMIT_RPM?",
    )


def test_unknown_name_like_no_other_is_a_warning_too(place: Place) -> None:
    place.environment["TELEFUSER_XYZZY"] = "1"

    assert place.load().warnings == ("TELEFUSER_XYZZY is unknown",)


OF_OTHER_DEPLOYMENTS = [
    *("CACHE_MODE", "ENABLE_LATENT_CACHE", "PROCESSING_LOCK_TIMEOUT", "RATE_LIMIT_PATHS"),
    *("METRICS_PATH", "METRICS_NAMESPACE", "LOG_COMPRESSION", "LOG_ENQUEUE", "LOG_BACKTRACE"),
    *("LOG_DIAGNOSE", "LOG_SERIALIZE", "LOG_EXTRA_FIELDS", "LOG_FILTER_MODULES"),
    "LOG_MULTIPROCESS",
]


@pytest.mark.parametrize("name", sorted({*WITHOUT_EFFECT, *OF_OTHER_DEPLOYMENTS}))
def test_name_without_effect_is_said_once_and_never_unknown(name: str, place: Place) -> None:
    place.environment[f"TELEFUSER_{name}"] = "1"

    assert place.load().warnings == (f"TELEFUSER_{name} has no effect here",)


@pytest.mark.parametrize("name", ["SERVER"])
def test_name_of_another_command_is_no_matter(name: str, place: Place) -> None:
    place.environment[f"TELEFUSER_{name}"] = "127.0.0.1:8000"

    assert place.load().warnings == ()


def test_names_of_other_programs_are_no_matter(place: Place) -> None:
    place.environment |= {"PORT": "1", "CUDA_VISIBLE_DEVICES": "0", "MY_TELEFUSER_PORT": "1"}

    loaded = place.load()

    assert (loaded.settings.port, loaded.warnings) == (8000, ())


def test_service_links_of_kubernetes_are_no_settings(place: Place) -> None:
    place.environment |= {
        "TELEFUSER_SERVICE_HOST": "10.0.0.7",
        "TELEFUSER_SERVICE_PORT": "8000",
        "TELEFUSER_SERVICE_PORT_HTTP": "8000",
        "TELEFUSER_PORT": "tcp://10.0.0.7:8000",
        "TELEFUSER_PORT_8000_TCP": "tcp://10.0.0.7:8000",
        "TELEFUSER_PORT_8000_TCP_ADDR": "10.0.0.7",
    }

    loaded = place.load()

    assert (loaded.settings.port, loaded.origins["port"]) == (8000, "default")
    assert loaded.warnings == (
        "TELEFUSER_PORT is Kubernetes' link to a Service and is ignored;"
        " set enableServiceLinks: false in the Pod",
    )
