"""Puts the service together: the only module that knows every other."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

import retrobus
from retrobus import logbook
from retrobus.accounts.throttle import Throttle
from retrobus.accounts.tokens import TokenRules, Tokens
from retrobus.api import (
    auth,
    backups,
    calendars,
    changes,
    conflicts,
    deletions,
    events,
    health,
    images,
    members,
    public,
    status,
    vehicles,
)
from retrobus.api.pages import add_pages
from retrobus.api.reference import openapi
from retrobus.api.service import Desk, Limits, Service
from retrobus.api.studio import add_studio
from retrobus.background import Background
from retrobus.backups.schedule import Schedule
from retrobus.backups.shelf import Shelf
from retrobus.changes.deletions import Deletions
from retrobus.changes.feed import ChangeFeed
from retrobus.changes.streams import Streams
from retrobus.checklist.folder import FolderUse
from retrobus.checklist.overview import Overview
from retrobus.checklist.server import Way
from retrobus.fallback.conflict_desk import Conflicts
from retrobus.fallback.opening import Sample
from retrobus.http.cors import Cors
from retrobus.http.dispatch import Dispatch
from retrobus.http.edge import Edge, Gate
from retrobus.http.problems import Problem, answer, from_store, not_allowed
from retrobus.metrics import Metrics
from retrobus.model.tables import REVISION
from retrobus.readiness import Readiness
from retrobus.settings import Settings
from retrobus.settings.complaints import misspelt
from retrobus.store.errors import StoreError
from retrobus.store.spool import Exports
from retrobus.toggles import OpenStore, open_store

DESCRIPTION = "Events, vehicles and members of an association that runs historic vehicles. PostgreSQL is the truth."


def create_app(settings: Settings, sample: Sample | None = None) -> ASGIApp:
    """The service as an ASGI application; it opens nothing before its lifespan starts, and twice in a process works.

    `sample` gives the rows of a service in development that has no database.
    """
    if settings.jwt_secret is None:
        raise ValueError("JWT_SECRET is missing")
    metrics = Metrics()
    app = FastAPI(
        title="RétroBus API",
        version=retrobus.__version__,
        summary="The collection, its outings and its members.",
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(settings, metrics, sample),
    )
    modules = (
        vehicles,
        events,
        public,
        images,
        calendars,
        changes,
        deletions,
        conflicts,
        backups,
        status,
        auth,
        members,
        health,
    )
    routers = [module.router for module in modules]
    for router in routers:
        app.include_router(router)
    add_pages(app, studio=settings.studio)
    if settings.studio:
        add_studio(app)
    for kind in (Problem, StoreError, HTTPException):
        app.add_exception_handler(kind, _refuse)
    declared = [route for router in routers for route in router.declared]
    limits = _limits(settings)
    app.openapi = lambda: openapi(app, declared, limits)  # type: ignore[method-assign]  # the framework's documented way
    shared = Cors(Gate(Dispatch(app, routers, _refuse)), settings.cors_origins)
    return Edge(shared, metrics)


def create(sample: Sample | None = None) -> ASGIApp:
    """The application from the environment, for uvicorn's factory option."""
    settings = Settings()
    logbook.configure(settings.log_format, settings.log_level)
    return create_app(settings, sample)


async def _refuse(request: Request, error: Exception) -> Response:
    """The one place where an error becomes an answer."""
    problem = _problem(error)
    if problem.kind.status == 503:
        request.app.state.service.metrics.refused(problem.code)
    return answer(problem, request.scope)


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, StoreError):
        return from_store(error)
    code = error.status_code if isinstance(error, HTTPException) else 500
    if code == 405:
        methods = (getattr(error, "headers", None) or {}).get("Allow", "GET")
        return not_allowed(methods if "HEAD" in methods else methods.replace("GET", "HEAD, GET"))
    return Problem("unknown_route" if code == 404 else "bad_request")


class _Watch:
    """Says in log and metrics when Postgres goes and comes."""

    def __init__(self, metrics: Metrics, *, fallback: bool) -> None:
        self._metrics = metrics
        self._fallback = fallback
        self._lost_at: float | None = None

    def lost(self, reason: str) -> None:
        self._lost_at = asyncio.get_running_loop().time()
        self._metrics.database_up.set(0)
        self._metrics.database_changes.labels("down").inc()
        logbook.postgres_lost(reason, fallback=self._fallback)

    def found(self) -> None:
        away = None if self._lost_at is None else asyncio.get_running_loop().time() - self._lost_at
        self._metrics.database_up.set(1)
        self._metrics.database_changes.labels("up").inc()
        logbook.postgres_ready(away)


def _lifespan(settings: Settings, metrics: Metrics, sample: Sample | None) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        background = Background(lambda task: metrics.background_failures.labels(task).inc())
        watch = _Watch(metrics, fallback=settings.enable_memory_fallback)
        async with AsyncExitStack() as running:
            opened = await running.enter_async_context(open_store(settings, watch, background, sample))
            schedule = await running.enter_async_context(_backing_up(settings, background))
            states = Readiness(opened, schedule, metrics, settings.toggles, REVISION)
            feed = ChangeFeed(opened.postgres_alone)
            streams = Streams(feed, metrics.followers, metrics.feed_lag)
            await running.enter_async_context(background.running("streams", streams.watch))
            app.state.service = _service(settings, states, feed, streams)
            await _report_start(settings, opened)
            gc.collect()
            gc.freeze()  # what start-up made stays: the collector need not walk it while requests wait
            gc.set_threshold(700, 10, 50)  # seldom what thousands of connections hold: a walk takes tens of ms
            if metrics.shared:
                await running.enter_async_context(background.running("measure", states.measure_often))
            yield {
                "stop": lambda: _stop(states),
                "end_streams": streams.stop,
                "count_death": metrics.worker_deaths.inc,
            }

    return lifespan


@asynccontextmanager
async def _backing_up(settings: Settings, background: Background) -> AsyncIterator[Schedule | None]:
    """Automatic backups beside the requests, if they are wanted."""
    if not settings.backup_schedule or settings.database_url is None:
        yield None
        return
    url = settings.database_url.get_secret_value()
    keep = (settings.backup_keep, settings.backup_keep_safety_days)
    schedule = Schedule(settings.backup_schedule, *keep, settings.backups_dir, url)
    async with background.running("schedule", schedule.run):
        yield schedule


def _stop(states: Readiness) -> None:
    states.stopping = True
    logbook.stopping()


def _service(settings: Settings, states: Readiness, feed: ChangeFeed, streams: Streams) -> Service:
    secrets = [settings.jwt_secret, *settings.jwt_previous_secrets]
    rules = TokenRules(
        tuple(secret.get_secret_value() for secret in secrets if secret is not None),
        settings.jwt_issuer,
        settings.jwt_audience,
        settings.access_token_ttl,
    )
    throttle = Throttle(rules.secrets[0].encode(), states.opened.logins)
    token = None if settings.metrics_token is None else settings.metrics_token.get_secret_value()
    store, tokens = states.opened.store, Tokens(rules)
    desk, limits = _desk(settings, states.opened), _limits(settings)
    return Service(store, feed, streams, desk, Exports(), tokens, throttle, limits, states.metrics, token, states)


def _limits(settings: Settings) -> Limits:
    return Limits(settings.max_body_bytes, settings.max_image_body_bytes)


def _desk(settings: Settings, opened: OpenStore) -> Desk:
    """What PostgreSQL and the folder of backups alone tell; memory never answers for them."""
    attempts = opened.postgres_alone
    url = "" if settings.database_url is None else settings.database_url.get_secret_value()
    way = Way(url, settings.database_pool_size, settings.database_statement_cache)
    use = FolderUse(settings.backups_dir, settings.load_backup_at_boot, settings.enable_runtime_state_save)
    overview = Overview(attempts, way, use, settings.backup_schedule)
    return Desk(Deletions(attempts), Conflicts(attempts), Shelf(settings.backups_dir, url, attempts), overview)


async def _report_start(settings: Settings, opened: OpenStore) -> None:
    for name, meant in misspelt():
        logbook.misspelt(name, meant)
    if not settings.load_backup_at_boot:
        logbook.backup_not_loaded()
    if settings.app_env == "production":
        for name in (name for name, on in settings.toggles.items() if on):
            logbook.toggle_in_production(name)
    found = await opened.diagnose()
    if found.missing_rights:
        logbook.right_missing(", ".join(found.missing_rights))
    elif not found.at_home:
        logbook.elsewhere()
    elif found.up and not found.suits(REVISION):
        logbook.schema_behind(found.schema.current, REVISION)
    logbook.started(retrobus.__version__, opened.mode)
