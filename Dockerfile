# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/taskloom
WORKDIR /build
# First what seldom changes: the pinned dependencies, each checked against its hash.
COPY requirements.lock ./
RUN /opt/taskloom/bin/pip install --require-hashes --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY domain ./domain
COPY bus ./bus
COPY projections ./projections
COPY agents ./agents
COPY api ./api
COPY infra ./infra
RUN /opt/taskloom/bin/pip install --no-build-isolation --no-deps . && /opt/taskloom/bin/pip check

FROM python:3.13-slim
LABEL org.opencontainers.image.title="Taskloom" \
      org.opencontainers.image.description="Plans and runs the work of teams of agents: event-sourced, on RabbitMQ and PostgreSQL." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 taskloom && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin taskloom
COPY --from=build /opt/taskloom /opt/taskloom
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/taskloom
ENV PATH=/opt/taskloom/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TASKLOOM_STATE_DIR=/tmp/taskloom
USER 10001:10001
WORKDIR /opt/taskloom
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["taskloom", "doctor", "--live"]
ENTRYPOINT ["taskloom"]
CMD ["serve", "api"]
