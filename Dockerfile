# The image of the service: `docker build --tag retrobus:0.1.0 .`
# Debian 12 and its Python are what the tests use. For a build that never changes, pin the digest behind the tag as well.
FROM python:3.11-slim-bookworm AS build

WORKDIR /source
COPY requirements-build.lock requirements.lock ./
RUN python -m venv /build \
    && /build/bin/pip install --no-cache-dir --require-hashes -r requirements-build.lock \
    && python -m venv /opt/retrobus \
    && /opt/retrobus/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY migrations migrations
COPY src src
RUN /build/bin/hatchling build -t wheel -d /dist \
    && /opt/retrobus/bin/pip install --no-cache-dir --no-index --no-deps /dist/retrobus-*.whl

FROM python:3.11-slim-bookworm

RUN groupadd --system --gid 10001 retrobus \
    && useradd --system --uid 10001 --gid retrobus --home-dir /var/lib/retrobus --shell /usr/sbin/nologin retrobus \
    && install -d -m 700 -o retrobus -g retrobus /var/lib/retrobus /var/lib/retrobus/backups
COPY --from=build /opt/retrobus /opt/retrobus

# The container has an address of its own, so the service listens on all of them; the platform decides who reaches it.
ENV PATH=/opt/retrobus/bin:$PATH \
    HOST=0.0.0.0 \
    BACKUPS_DIR=/var/lib/retrobus/backups \
    LOG_FORMAT=json \
    PYTHONDONTWRITEBYTECODE=1

USER 10001:10001
WORKDIR /var/lib/retrobus
VOLUME /var/lib/retrobus/backups
EXPOSE 3001

# /ready is 503 while PostgreSQL is away: an unhealthy service must not be restarted for that, it finds PostgreSQL again.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '3001') + '/ready', timeout=4)"]

ENTRYPOINT ["retrobus"]
CMD ["serve"]
