# One image for every process; docker-compose.yml says which one runs.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    MASTERIA_ENVIRONMENT=production \
    MASTERIA_HOME=/data

# The number is fixed so that a volume's files belong to the same user on every host.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin masteria \
    && install -d -o masteria -g masteria /data

WORKDIR /app
COPY requirements/runtime.lock requirements/runtime.lock
RUN pip install --no-cache-dir --require-hashes -r requirements/runtime.lock

COPY pyproject.toml alembic.ini ./
COPY alembic alembic
COPY engine engine
COPY console console
# The checkout needs no build: it is importable from here, and `masteria` is its door.
RUN printf '#!/bin/sh\nexec python -m engine.cli "$@"\n' > /usr/local/bin/masteria \
    && chmod 0755 /usr/local/bin/masteria \
    && python -m compileall -q engine console alembic

ENV PYTHONPATH=/app
USER masteria
VOLUME /data
EXPOSE 8000 5006 8100
CMD ["masteria", "--help"]
