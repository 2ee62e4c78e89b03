"""FastAPI with SQLAlchemy's ORM and response models, as tutorials write it: a peer of `make bench`."""

import os
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import uuid4

import jwt
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy import DateTime, delete, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

HOST, USER, DATABASE = (os.environ[name] for name in ("PGHOST", "PGUSER", "PGDATABASE"))
engine = create_async_engine(f"postgresql+asyncpg://{USER}@/{DATABASE}?host={HOST}", pool_size=10, max_overflow=0)
Session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """The columns' types by their Python types."""

    type_annotation_map = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB, list[Any]: JSONB}  # noqa: RUF012 - SQLAlchemy wants it so


class Vehicle(Base):
    """A vehicle in the table."""

    __tablename__ = "vehicle"
    id: Mapped[int] = mapped_column(primary_key=True)
    parc: Mapped[str]
    type: Mapped[str]
    modele: Mapped[str]
    marque: Mapped[str | None]
    subtitle: Mapped[str | None]
    immat: Mapped[str | None]
    etat: Mapped[str]
    mise_en_circulation: Mapped[datetime | None]
    energie: Mapped[str | None]
    description: Mapped[str | None]
    history: Mapped[str | None]
    caracteristiques: Mapped[list[Any]]
    gallery: Mapped[list[Any]]
    background_image: Mapped[str | None]
    background_position: Mapped[str | None]
    is_public: Mapped[bool]
    fuel: Mapped[float | None]
    mileage: Mapped[float | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Event(Base):
    """An event in the table."""

    __tablename__ = "event"
    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: str(uuid4()))
    title: Mapped[str]
    date: Mapped[datetime]
    time: Mapped[str | None]
    location: Mapped[str | None]
    description: Mapped[str | None]
    hello_asso_url: Mapped[str | None]
    layout: Mapped[str | None]
    adult_price: Mapped[float | None]
    child_price: Mapped[float | None]
    vehicle_id: Mapped[str | None]
    status: Mapped[str]
    extras: Mapped[dict[str, Any] | None]
    max_participants: Mapped[int | None]
    current_participants: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Wire(BaseModel):
    """Names in the style of JavaScript, values from attributes."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class Figure(BaseModel):
    """One line of a vehicle's table of figures."""

    label: str
    value: str


class VehicleOut(Wire):
    """A vehicle in an answer."""

    id: int
    parc: str
    type: str
    modele: str
    marque: str | None
    subtitle: str | None
    immat: str | None
    etat: str
    mise_en_circulation: datetime | None
    energie: str | None
    description: str | None
    history: str | None
    caracteristiques: list[Figure]
    gallery: list[str]
    background_image: str | None
    background_position: str | None
    is_public: bool
    fuel: float | None
    mileage: float | None
    created_at: datetime
    updated_at: datetime


class EventIn(Wire):
    """An event in a request."""

    title: str
    date: datetime
    time: str | None = None
    location: str | None = None
    description: str | None = None
    hello_asso_url: str | None = None
    layout: str | None = None
    adult_price: float | None = None
    child_price: float | None = None
    vehicle_id: str | None = None
    status: str = "DRAFT"
    extras: dict[str, Any] | None = None
    max_participants: int | None = None


class EventOut(EventIn):
    """An event in an answer."""

    id: str
    current_participants: int
    created_at: datetime
    updated_at: datetime


class Events(BaseModel):
    """The list of events."""

    events: list[EventOut]


async def session() -> AsyncIterator[AsyncSession]:
    """A session for one request."""
    async with Session() as opened:
        yield opened


Database = Annotated[AsyncSession, Depends(session)]


async def user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> dict[str, Any]:
    """What the token says of the caller."""
    try:
        claims: dict[str, Any] = jwt.decode(
            credentials.credentials, os.environ["JWT_SECRET"], algorithms=["HS256"], options={"verify_aud": False}
        )
    except jwt.PyJWTError:
        raise HTTPException(401, "invalid token") from None
    return claims


app = FastAPI()
api = APIRouter(prefix="/api", dependencies=[Depends(user)])


@api.get("/vehicles/{parc}", response_model=VehicleOut)
async def get_vehicle(parc: str, database: Database) -> Any:
    """One vehicle."""
    found = await database.scalar(select(Vehicle).where(Vehicle.parc == parc))
    if found is None:
        raise HTTPException(404)
    return found


@api.get("/events", response_model=Events)
async def list_events(database: Database) -> Any:
    """Every event."""
    return {"events": (await database.scalars(select(Event).order_by(Event.date.desc()))).all()}


@app.get("/public/vehicles", response_model=list[VehicleOut])
async def list_public_vehicles(database: Database) -> Any:
    """The public vehicles."""
    return (await database.scalars(select(Vehicle).where(Vehicle.is_public).order_by(Vehicle.parc))).all()


@api.post("/events", response_model=EventOut, status_code=201)
async def create_event(body: EventIn, database: Database) -> Any:
    """Creates an event."""
    event = Event(**body.model_dump())
    database.add(event)
    await database.commit()
    return event


@api.delete("/events/{key}")
async def delete_event(key: str, database: Database) -> Any:
    """Deletes an event."""
    result = await database.execute(delete(Event).where(Event.id == key))
    await database.commit()
    if not result.rowcount:
        raise HTTPException(404)
    return {"ok": True}


app.include_router(api)
