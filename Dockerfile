# syntax=docker/dockerfile:1
# Two stages: the first has pip and a cache, the second only Python, the locked packages and this service.

FROM python:3.12-slim AS build
WORKDIR /build
RUN python -m venv /opt/venv
COPY requirements.lock ./
# Compiled here: what is compiled at its first start would be compiled again in every container.
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --compile --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md ./
COPY service ./service
RUN pip install --no-cache-dir --disable-pip-version-check "setuptools>=77" \
 && pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/venv/bin/pip install --no-cache-dir --no-deps --compile /wheels/*.whl \
 && find /opt/venv/lib -type d \( -name tests -o -name test \) -prune -exec rm -rf {} + \
 && /opt/venv/bin/pip uninstall --yes pip

FROM python:3.12-slim
RUN pip uninstall --yes --root-user-action=ignore pip \
 && groupadd --system --gid 10001 risk-alerts \
 && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/risk-alerts --create-home risk-alerts \
 && mkdir /data && chown risk-alerts /data
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PORT=8080 \
    AUTH=required \
    ALLOWED_SOURCES='["file:///data"]' \
    DATABASE_URL=sqlite:////var/lib/risk-alerts/risk_alerts.db
# A number, so that Kubernetes can see for itself that this is not root.
USER 10001:10001
WORKDIR /var/lib/risk-alerts
VOLUME /var/lib/risk-alerts
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/live', timeout=4)"]
# It listens to all, since only so can a port be published. So it asks everybody who they are, and does not start
# before there is somebody to be: `docker run IMAGE risk-alerts keys new …`. By which names it may be asked for other
# than localhost is for ALLOWED_HOSTS to say.
# A batch job names its own command: `docker run IMAGE risk-alerts run SOURCE --month current`.
CMD ["sh", "-c", "exec risk-alerts serve --host 0.0.0.0 --port \"$PORT\""]
