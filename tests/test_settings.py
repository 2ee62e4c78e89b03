"""The environment variables: what they may hold, where they are read, and what is said of a bad one."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from harness import SECRET, Process, at, free_port
from retrobus.cli import main
from retrobus.cli.postgres import with_connection
from retrobus.database.url import normalized
from retrobus.development.embedded import embedded_postgres
from retrobus.settings import DEV_ORIGINS, Settings
from retrobus.settings.complaints import misspelt
from retrobus.settings.env_files import VARIABLE, use_env_files

PASSWORD_HINT = "hôte ou port illisible ; dans un mot de passe, @ : / ? # s'écrivent %40 %3A %2F %3F %23"
BAD_VALUES = [
    ("APP_ENV", "staging", "valeurs possibles : development, production, test"),
    ("DATABASE_URL", "mysql://db.example.org/secret", "commence par postgres:// ou postgresql://"),
    ("DATABASE_URL", "postgresql+asyncpg://db.example.org/secret", "commence par postgres:// ou postgresql://"),
    ("DATABASE_URL", "postgresql://", "commence par postgres:// ou postgresql://"),
    ("DATABASE_URL", "postgresql://bus:se@cret@db.example.org/bus", PASSWORD_HINT),
    ("DATABASE_URL", "postgresql://bus:se/cret@db.example.org/bus", PASSWORD_HINT),
    ("DATABASE_URL", "postgresql://bus:se#cret@db.example.org/bus", PASSWORD_HINT),
    ("DATABASE_URL", "postgresql://db.example.org:70000/bus", PASSWORD_HINT),
    ("DATABASE_URL", "postgresql://db.example.org:0/bus", PASSWORD_HINT),
    ("DATABASE_URL", "postgresql://[::1/bus", PASSWORD_HINT),
    ("DATABASE_URL", "postgresql://db/bus?secret", "paramètres illisibles après le « ? » : nom=valeur, séparés par &"),
    ("DATABASE_URL", "postgresql://db/bus?schema=secret", "valeurs possibles de schema : public"),
    (
        "DATABASE_URL",
        "postgresql://db/bus?sslmode=secret",
        "valeurs possibles de sslmode : disable, allow, prefer, require, verify-ca, verify-full",
    ),
    (
        "DATABASE_URL",
        "postgresql://a,b/bus?target_session_attrs=secret",
        "valeurs possibles de target_session_attrs : any, primary, standby, read-write, read-only, prefer-standby",
    ),
    (
        "DATABASE_URL",
        "postgresql://db/bus?sslmod=secret",
        "paramètre inconnu après le « ? » : sslmod ; voulez-vous dire sslmode ?",
    ),
    (
        "DATABASE_URL",
        "postgresql://db/bus?work_mem=secret",
        "paramètre inconnu après le « ? » : work_mem ; un réglage de session s'écrit options=-c%20nom%3Dvaleur",
    ),
    ("DATABASE_URL", "postgresql://db/bus?ssl=secret", "valeurs possibles de ssl : true ; sinon écrivez sslmode=…"),
    (
        "DATABASE_URL",
        "postgresql://db/bus?sslmode=verify-full",
        "sslmode=verify-full demande aussi sslrootcert, par exemple sslrootcert=system",
    ),
    (
        "DATABASE_URL",
        "postgresql://db/bus?sslmode=require&sslrootcert=system",
        "sslrootcert=system ne va qu'avec sslmode=verify-full",
    ),
    (
        "DATABASE_URL",
        "postgresql://db/bus?sslmode=verify-ca&sslrootcert=/nowhere/secret.pem",
        "sslrootcert nomme un fichier qui manque ou que ce compte ne peut pas lire",
    ),
    ("DATABASE_TIMEOUT", "0.07", "au moins 0.2"),
    ("DATABASE_TIMEOUT", "soon", "nombre attendu"),
    ("DATABASE_TIMEOUT", "inf", "au plus 60"),
    ("DATABASE_TIMEOUT", "nan", "au plus 60"),
    ("DATABASE_POOL_SIZE", "-17", "au moins 1"),
    ("DATABASE_STATEMENT_CACHE", "77777", "au plus 10000"),
    ("LOAD_BACKUP_AT_BOOT", "peut-être", "true ou false attendu"),
    ("ENABLE_MEMORY_FALLBACK", "2", "true ou false attendu"),
    ("ENABLE_RUNTIME_STATE_SAVE", "vrai", "true ou false attendu"),
    ("RUNTIME_STATE_DEBOUNCE", "-77", "au moins 0"),
    ("RUNTIME_STATE_MAX_DELAY", "0.07", "au moins 0.1"),
    ("JOURNAL_MAX_AGE", "-77", "plus de 0"),
    ("PORT", "port-3001", "nombre entier attendu"),
    ("PORT", "70000", "au plus 65535"),
    ("JWT_SECRET", "too-short", "au moins 32 octets, par exemple ceux de : openssl rand -base64 48"),
    ("JWT_PREVIOUS_SECRETS", f"{SECRET},too-short", "chacun d'au moins 32 octets"),
    ("ACCESS_TOKEN_TTL", "12h", "nombre entier attendu"),
    ("ACCESS_TOKEN_TTL", "86401", "au plus 86400"),
    ("MAX_BODY_BYTES", "77", "au moins 1024"),
    ("MAX_IMAGE_BODY_BYTES", "1e9", "nombre entier attendu"),
    ("BACKUP_SCHEDULE", "03:30,24:00", "heures séparées par des virgules attendues, comme 03:30,15:30"),
    ("BACKUP_KEEP", "0", "au moins 1"),
    ("BACKUP_KEEP_SAFETY_DAYS", "0", "au moins 1"),
    ("STUDIO", "oui", "true ou false attendu"),
    ("CORS_ORIGINS", "*", "chaque origine est http(s)://hôte[:port], sans chemin ; * est refusé"),
    ("CORS_ORIGINS", "bus.example.org", "chaque origine est http(s)://hôte[:port], sans chemin ; * est refusé"),
    (
        "CORS_ORIGINS",
        "https://bus.example.org/app",
        "chaque origine est http(s)://hôte[:port], sans chemin ; * est refusé",
    ),
    ("METRICS_TOKEN", "too-short", "au moins 16 caractères"),
    ("FORWARDED_ALLOW_IPS", "proxy.example.org", "adresses IP ou réseaux séparés par des virgules attendus, ou *"),
    ("LOG_FORMAT", "yaml", "valeurs possibles : console, json"),
    ("LOG_LEVEL", "trace", "valeurs possibles : debug, info, warning, error"),
]


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def over_tcp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Postgres on 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tcp")
    with embedded_postgres(folder, settings={"fsync": "off"}, port=free_port()) as server:
        yield server.port or 0


def complaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """How a command that needs the settings ends."""
    monkeypatch.setattr(sys, "argv", ["retrobus", "db", "current"])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize(("name", "value", "sentence"), BAD_VALUES)
def test_a_bad_value_is_one_sentence_that_names_the_variable_and_never_the_value(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)

    code, said = complaint(monkeypatch, capsys)

    assert (code, said) == (78, f"❌ {name} : {sentence}\n")


def test_several_bad_values_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("LOG_LEVEL", "y")

    code, said = complaint(monkeypatch, capsys)

    assert code == 78
    assert [line.split()[1] for line in said.splitlines()] == ["PORT", "LOG_LEVEL"]


def test_every_variable_with_a_rule_has_a_bad_value_in_these_tests() -> None:
    free = {"HOST", "JWT_ISSUER", "JWT_AUDIENCE", "BACKUPS_DIR"}

    assert {name.upper() for name in Settings.model_fields} - free == {name for name, _, _ in BAD_VALUES}


def test_strict_mode_is_what_one_gets_without_any_variable() -> None:
    settings = Settings()

    assert settings.toggles == {
        "LOAD_BACKUP_AT_BOOT": False,
        "ENABLE_MEMORY_FALLBACK": False,
        "ENABLE_RUNTIME_STATE_SAVE": False,
    }
    assert (settings.app_env, settings.port, settings.host) == ("production", 3001, "127.0.0.1")
    assert settings.cors_origins == tuple(DEV_ORIGINS.split(","))


def test_the_environment_wins_over_env_local_and_env_local_over_env(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("HOST=0.0.0.0\nPORT=4001\nLOG_LEVEL=warning\n")
    (tmp_path / ".env.local").write_text("PORT=4002\nLOG_LEVEL=error\n")
    monkeypatch.setenv("LOG_LEVEL", "debug")

    settings = Settings()

    assert (settings.host, settings.port, settings.log_level) == ("0.0.0.0", 4002, "debug")  # noqa: S104 - never bound


def test_an_empty_variable_means_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("JWT_SECRET", "")

    settings = Settings()

    assert settings.port == 3001
    assert settings.jwt_secret is None


def test_blanks_around_a_value_and_the_case_of_a_word_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENABLE_MEMORY_FALLBACK", " True\n")
    monkeypatch.setenv("APP_ENV", " Development ")
    monkeypatch.setenv("JWT_SECRET", f"{SECRET}\n")

    settings = Settings()

    assert settings.enable_memory_fallback
    assert settings.app_env == "development"
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.get_secret_value() == SECRET


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://bus.example.org, http://localhost:5173,")
    monkeypatch.setenv("JWT_PREVIOUS_SECRETS", f"{SECRET}, {SECRET[::-1]}")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.0/8, ::1")

    settings = Settings()

    assert settings.cors_origins == ("https://bus.example.org", "http://localhost:5173")
    assert [secret.get_secret_value() for secret in settings.jwt_previous_secrets] == [SECRET, SECRET[::-1]]
    assert settings.forwarded_allow_ips == "10.0.0.0/8,::1"


def test_no_secret_shows_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JWT_SECRET", "JWT_PREVIOUS_SECRETS", "METRICS_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("DATABASE_URL", f"postgresql://bus:{SECRET}@db.example.org/bus")

    settings = Settings()

    assert SECRET not in f"{settings!r}{settings}{settings.model_dump()}"


@pytest.mark.parametrize(
    "form",
    [
        "postgres://postgres@127.0.0.1:{port}/postgres",
        "postgresql://postgres:any%40word@127.0.0.1:{port}/postgres?sslmode=disable",
        "postgresql://postgres@localhost:{port}/postgres?sslmode=prefer&connect_timeout=10",
        "postgresql://postgres@127.0.0.1:1,127.0.0.1:{port}/postgres?target_session_attrs=read-write",
        "postgresql://postgres@127.0.0.1:{port}/postgres?schema=public&connection_limit=5&pgbouncer=true",
        "postgresql://postgres@127.0.0.1:{port}/postgres?application_name=bus&channel_binding=prefer",
    ],
)
def test_the_forms_of_database_url_that_operators_paste_reach_the_server(
    form: str, over_tcp: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", form.format(port=over_tcp))

    found = with_connection(lambda connection: connection.fetchval("SELECT current_database()"))

    assert found == "postgres"


def test_a_socket_folder_in_the_url_reaches_the_server(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", at(server, "postgres"))

    found = with_connection(lambda connection: connection.fetchval("SELECT current_database()"))

    assert found == "postgres"


def test_an_encrypted_connection_that_is_required_is_never_replaced_by_a_plain_one(
    over_tcp: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://postgres@127.0.0.1:{over_tcp}/postgres?sslmode=require")

    code, said = complaint(monkeypatch, capsys)

    reason = "le serveur n'accepte pas la demande de TLS (sslmode)"
    assert (code, said) == (1, f"❌ Pas de connexion à PostgreSQL : {reason}. Vérifiez DATABASE_URL et le serveur.\n")


def test_only_parameters_of_other_clients_are_taken_out_of_a_url() -> None:
    kept = "postgres://bus:p%40ss@a.example.org:5433,b/bus?sslmode=require&options=-csearch_path%3Dx"

    assert normalized(kept) == kept
    assert normalized("postgres://h/d?schema=public&sslmode=require") == "postgres://h/d?sslmode=require"
    assert normalized("postgres://h/d?pgbouncer=true") == "postgres://h/d"


def test_what_psql_takes_is_taken() -> None:
    assert normalized("postgres://h/d?ssl=true") == "postgres://h/d?sslmode=require"
    assert normalized("postgres://h/d?ssl=true&sslmode=prefer") == "postgres://h/d?sslmode=prefer"
    assert (
        normalized("postgresql://u:p@a:5433,[::1]/d") == "postgresql://u:p@/d?host=a%2C%5B%3A%3A1%5D&port=5433%2C5432"
    )
    trusting = normalized("postgres://h/d?sslmode=verify-full&sslrootcert=system")
    assert Path(unquote(trusting.partition("sslrootcert=")[2])).read_text().count("BEGIN CERTIFICATE") > 1


def test_hosts_with_an_ipv6_address_among_them_reach_the_server(over_tcp: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://postgres@[::1]:1,127.0.0.1:{over_tcp}/postgres?sslmode=disable")

    found = with_connection(lambda connection: connection.fetchval("SELECT current_database()"))

    assert found == "postgres"


def test_a_file_of_settings_that_is_not_utf8_is_one_sentence_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_bytes("PORT=4001\n# réglages\n".encode("cp1252"))

    code, said = complaint(monkeypatch, capsys)

    assert (code, said) == (78, "❌ .env : ligne 2, pas en UTF-8 ; enregistrez-le en UTF-8\n")


@pytest.mark.parametrize("kind", ["folder", "broken link"])
def test_what_lies_in_place_of_a_file_of_settings_is_told(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ".env.local"
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")

    code, said = complaint(monkeypatch, capsys)

    assert (code, said) == (78, "❌ .env.local : ni fichier ni lien vers un fichier ; corrigez-le ou retirez-le\n")


def test_a_name_that_is_nearly_a_setting_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("CORS_ORIGIN=https://bus.example.org\nENABLE_MEMORY_FALLBAK=true\n")
    monkeypatch.setenv("DATABASE_URLS", "x")
    monkeypatch.setenv("PGPORT", "5432")
    monkeypatch.setenv("UNRELATED_NAME", "x")

    found = misspelt()

    assert found == [
        ("CORS_ORIGIN", "CORS_ORIGINS"),
        ("DATABASE_URLS", "DATABASE_URL"),
        ("ENABLE_MEMORY_FALLBAK", "ENABLE_MEMORY_FALLBACK"),
    ]


def test_named_files_are_read_instead_of_the_usual_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("HOST=0.0.0.0\n")
    (tmp_path / "service.env").write_text("PORT=4001\nLOG_LEVEL=warning\nLOG_FORMAT=json\n")
    (tmp_path / "owner.env").write_text("PORT=4002\nPGAPPNAME=owner\n")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setenv("PGAPPNAME", "taken back after the test")
    monkeypatch.delenv("PGAPPNAME")

    use_env_files([Path("service.env"), Path("owner.env")])
    settings = Settings()

    assert (settings.host, settings.port) == ("127.0.0.1", 4002)
    assert (settings.log_level, settings.log_format) == ("debug", "json")
    assert os.environ["PGAPPNAME"] == "owner"
    assert os.environ[VARIABLE] == f"{tmp_path}/service.env:{tmp_path}/owner.env"


def said_by(arguments: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    """What `retrobus` prints, as a process of its own."""
    (folder / "output.log").unlink(missing_ok=True)
    running = Process(arguments, folder, environment or {})
    running.wait()
    return running.log


def test_a_command_and_its_children_see_the_named_file(server: str, tmp_path: Path) -> None:
    (tmp_path / "service.env").write_text(f"DATABASE_URL={server}\nBACKUPS_DIR={tmp_path}/kept\n")
    (tmp_path / "elsewhere").mkdir()

    done = said_by(["--env-file", "../service.env", "doctor"], tmp_path / "elsewhere")
    by_variable = said_by(["doctor"], tmp_path / "elsewhere", {VARIABLE: f"{tmp_path}/service.env"})

    kept = f"Dossier des backups : {tmp_path}/kept n'existe pas encore"
    assert (kept in done, kept in by_variable) == (True, True)  # a child gets the variable


def test_a_named_file_that_cannot_be_read_ends_the_command(tmp_path: Path) -> None:
    absent = said_by(["--env-file", "absent.env", "db", "current"], tmp_path)
    folder = said_by(["--env-file", ".", "db", "current"], tmp_path)

    assert absent == f"❌ {tmp_path}/absent.env : absent ; corrigez le chemin, ou créez le fichier\n"
    assert folder == f"❌ {tmp_path} : ni fichier ni lien vers un fichier ; corrigez-le ou retirez-le\n"
