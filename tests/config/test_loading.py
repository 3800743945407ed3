"""Which source of a setting wins, what environment files may hold, and what is warned of."""

from pathlib import Path

import pytest

from telefuser_grpc.config import load, load_settings
from tests.config.reading import Place

DOCUMENTED_FILE = (
    "TELEFUSER_SECURITY_LEVEL=STRICT",
    "TELEFUSER_PORT=8080",
    "TELEFUSER_HOST=0.0.0.0",
    "TELEFUSER_RATE_LIMIT_ENABLED=true",
    "TELEFUSER_RATE_LIMIT_RPM=100",
)


def test_flag_wins_over_environment_that_over_file_and_that_over_default(place: Place) -> None:
    read = [place.load()]
    place.write("TELEFUSER_PORT=8001")
    read.append(place.load())
    place.environment["TELEFUSER_PORT"] = "8002"
    read.append(place.load())
    read.append(place.load(port=8003))

    assert [(each.settings.port, each.origins["port"]) for each in read] == [
        (8000, "default"),
        (8001, "TELEFUSER_PORT in .env"),
        (8002, "TELEFUSER_PORT"),
        (8003, "--port"),
    ]


def test_older_name_in_the_environment_wins_over_the_documented_one_in_a_file(
    place: Place,
) -> None:
    place.write("TELEFUSER_RATE_LIMIT_RPM=100")
    place.environment["TELEFUSER_RATE_LIMIT_REQUESTS_PER_MINUTE"] = "200"

    assert place.value("rate_limit_rpm") == 200


def test_flag_that_is_not_given_sets_nothing(place: Place) -> None:
    place.environment["TELEFUSER_PORT"] = "8002"

    assert place.load(port=None).settings.port == 8002


def test_documented_file_works_as_written(place: Place) -> None:
    place.write(*DOCUMENTED_FILE)

    loaded = place.load()

    settings = loaded.settings
    assert (settings.security_level, settings.port, settings.host) == ("STRICT", 8080, "0.0.0.0")
    assert (settings.rate_limit_enabled, settings.rate_limit_rpm) == (True, 100)
    assert loaded.warnings == ()


def test_named_file_wins_over_the_one_of_the_folder(place: Place) -> None:
    place.write("TELEFUSER_PORT=8001", "TELEFUSER_HOST=::1")
    place.write("TELEFUSER_PORT=8002", name="production.env")
    place.environment["TELEFUSER_ENV_FILE"] = "production.env"

    loaded = place.load()

    assert (loaded.settings.port, loaded.settings.host) == (8002, "::1")
    assert loaded.origins["port"] == "TELEFUSER_PORT in production.env"


def test_named_file_may_lie_elsewhere(
    place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("elsewhere") / "settings"
    path.write_text("TELEFUSER_PORT=8002\n")
    place.environment["TELEFUSER_ENV_FILE"] = str(path)

    assert place.value("port") == 8002


def test_named_file_that_does_not_exist_is_refused(place: Place) -> None:
    place.environment["TELEFUSER_ENV_FILE"] = "none.env"

    assert place.refusal() == ("TELEFUSER_ENV_FILE: 'none.env' is no file; name one or unset it")


def test_unreadable_file_is_refused_with_the_reason(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("TELEFUSER_PORT=1")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)

    assert place.refusal() == ".env: permission denied; make it readable or remove it"


def test_file_that_is_no_text_is_refused(place: Place) -> None:
    (place.folder / ".env").write_bytes(b"TELEFUSER_HOST=\xff\xfe\n")

    assert place.refusal() == ".env: is not UTF-8 text; save it as such"


def test_folder_of_that_name_is_no_file_of_settings(place: Place) -> None:
    (place.folder / ".env").mkdir()

    assert place.load().settings.port == 8000


def test_file_has_comments_quotes_exports_and_other_programs_names(place: Place) -> None:
    place.write(
        "# the service",
        "",
        "export TELEFUSER_PORT='8080'  # ours",
        'telefuser_host = "0.0.0.0"',
        "CUDA_VISIBLE_DEVICES=0",
        "JUST_A_NAME",
    )

    loaded = place.load()

    assert (loaded.settings.port, loaded.settings.host, loaded.warnings) == (8080, "0.0.0.0", ())


def test_file_may_come_from_windows(place: Place) -> None:
    (place.folder / ".env").write_bytes(
        b"\xef\xbb\xbfTELEFUSER_PORT=8080\r\nTELEFUSER_HOST=::1\r\n"
    )

    loaded = place.load()

    assert (loaded.settings.port, loaded.settings.host) == (8080, "::1")


def test_last_line_of_a_name_counts(place: Place) -> None:
    place.write("TELEFUSER_PORT=8001", "TELEFUSER_PORT=8002")

    assert place.value("port") == 8002


@pytest.mark.parametrize("line", ["TELEFUSER_PORT 8080", "TELEFUSER_PORT", "TELEFUSER_HOST='open"])
def test_line_that_sets_nothing_is_a_warning_with_its_number(line: str, place: Place) -> None:
    place.write("# first", "", line)

    assert place.load().warnings == (".env line 3 is not NAME=value and is ignored",)


def test_unknown_name_in_a_file_is_a_warning_with_the_file(place: Place) -> None:
    place.write("TELEFUSER_PROT=1")

    assert place.load().warnings == (
        "TELEFUSER_PROT in .env is unknown; did you mean TELEFUSER_PORT?",
    )


def test_wrong_value_in_a_file_is_refused_with_the_file(place: Place) -> None:
    place.write("TELEFUSER_PORT=eight")

    assert place.refusal() == "TELEFUSER_PORT in .env: must be a whole number"


def test_wrong_flag_is_refused_by_the_flag_s_name(place: Place) -> None:
    assert place.refusal(num_replicas=17) == "--num-replicas: must be less than or equal to 16"


def test_empty_variable_sets_nothing(place: Place) -> None:
    place.environment["TELEFUSER_PORT"] = ""
    place.write("TELEFUSER_HOST=")

    loaded = place.load()

    assert (loaded.settings.port, loaded.settings.host, loaded.warnings) == (8000, "127.0.0.1", ())


@pytest.mark.parametrize(("port", "warned"), [(0, False), (80, True), (1023, True), (1024, False)])
def test_port_below_1024_is_a_warning(port: int, warned: bool, place: Place) -> None:
    place.environment["TELEFUSER_PORT"] = str(port)

    expected = ("TELEFUSER_PORT: ports below 1024 need privileges",) if warned else ()
    assert place.load().warnings == expected


def test_concurrency_is_said_to_be_only_reported(place: Place) -> None:
    place.environment["TELEFUSER_MAX_CONCURRENT_TASKS"] = "4"

    assert place.load().warnings == (
        "TELEFUSER_MAX_CONCURRENT_TASKS is only reported;"
        " TELEFUSER_NUM_REPLICAS says how many tasks run at once",
    )


def test_without_arguments_the_process_s_own_environment_and_folder_are_read(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("TELEFUSER_HOST=::1")
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("TELEFUSER_PORT", "8004")

    settings = load_settings(num_replicas=2)

    assert (settings.host, settings.port, settings.num_replicas) == ("::1", 8004, 2)
    assert load().settings.port == 8004
