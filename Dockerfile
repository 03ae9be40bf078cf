# syntax=docker/dockerfile:1
# Build: docker build -t turnout .
# Run:   docker run --read-only --cap-drop ALL -p 127.0.0.1:8080:8080 \
#          -v turnout-data:/data -e TURNOUT_KEY=... -e OPENAI_API_KEY=... turnout
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /venv
COPY config/locks config/locks
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r config/locks/build.txt \
 && /venv/bin/pip install --no-cache-dir --require-hashes -r config/locks/run.txt \
 && /venv/bin/pip install --no-cache-dir --require-hashes --no-deps -r config/locks/semantic.txt
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /venv/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=build /venv /venv
COPY config/container/gateway.yaml config/models.yaml /app/config/
COPY policies /app/policies
RUN install -d -o 65534 -g 65534 -m 0700 /data
WORKDIR /app
USER 65534:65534
VOLUME /data
EXPOSE 8080
# It listens on all of its own addresses; without a key in TURNOUT_KEY it refuses to start.
ENTRYPOINT ["/venv/bin/turnout"]
CMD ["serve", "--data", "/data"]
