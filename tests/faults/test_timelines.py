"""Facts about versions after a failover that lost commits: a version, and so an ETag, never means two states."""

from pathlib import Path

from faults.replicated import Pair, replicated
from harness import run_sql, until

INSERT = "INSERT INTO vehicle (parc) SELECT '{}' || n FROM generate_series(1, 100) n"
AT_HOME = "SELECT retrobus_is_at_home()"
VERSIONS = "SELECT version FROM vehicle WHERE starts_with(parc, '{}')"


def cut_off(pair: Pair) -> None:
    """From now on the standby receives nothing, and the leader does not know."""
    run_sql(pair.standby.url(), "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
    until(lambda: not run_sql(pair.standby.url(), "SELECT FROM pg_stat_wal_receiver"), "the end of the receiver")


def test_versions_of_the_lost_end_of_a_timeline_are_never_drawn_again(tmp_path: Path) -> None:
    with replicated(tmp_path, synchronous=False) as pair:
        run_sql(pair.url(), INSERT.format("kept"))
        until(lambda: len(run_sql(pair.standby.url("retrobus"), VERSIONS.format("kept"))) == 100, "the copy")
        standby = run_sql(pair.standby.url("retrobus"), AT_HOME)
        cut_off(pair)
        run_sql(pair.url(), INSERT.format("lost"))
        lost = {row[0] for row in run_sql(pair.url(), VERSIONS.format("lost"))}
        pair.leader.kill()

        url = pair.promote()
        run_sql(url, INSERT.format("new"))
        run_sql(
            url, "UPDATE vehicle SET etat = 'en panne' WHERE parc = 'kept1'", "DELETE FROM vehicle WHERE parc = 'kept2'"
        )

        new = {row[0] for row in run_sql(url, VERSIONS.format("new"))}
        guard = run_sql(url, "SELECT timeline FROM version_guard")
        dead = run_sql(url, "SELECT version FROM deletion")
        home = [tuple(row) for row in (*standby, *run_sql(url, AT_HOME))]
        again = run_sql(url, "INSERT INTO vehicle (parc) VALUES ('later') RETURNING version")

    assert home == [(True,), (True,)]
    assert not lost & new
    assert min(new) > max(lost)
    assert [row["timeline"] for row in guard] == ["00000002"]
    assert dead[0]["version"] > max(new)
    assert max(new) < again[0]["version"] < 2 * 2**32
