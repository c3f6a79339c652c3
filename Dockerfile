# One image, one binary, as a service and as a worker of AWS Batch: `docker run outport up`, `docker run outport worker send`, ...
#
# BASE is any Debian that is as new as the one of the build stage. The tests have no registry: they make a base of Debian's
# packages and put the binary that is built already in the place of the build stage (`--build-context build=FOLDER`).
ARG BASE=debian:bookworm-slim

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target \
    cargo build --release --locked --package outport --bin outport \
    && cp target/release/outport /outport

FROM ${BASE} AS runtime
# tzdata: remote names may hold the local time of arrival. ca-certificates: who vouches for AWS; private authorities are added
# here. The folder of the volume is its user's alone: what is mounted there gets this owner and this mode. Nobody becomes
# somebody else in here: no program keeps its setuid bit.
RUN export DEBIAN_FRONTEND=noninteractive \
    && apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates tzdata \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/* \
    && find / -xdev -type f -perm /6000 -exec chmod ug-s {} + \
    && groupadd --gid 10001 outport \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/outport --shell /usr/sbin/nologin outport \
    && install --directory --mode=700 --owner=10001 --group=10001 /var/lib/outport
# By number, so that an orchestrator can see that it is not root. Relative paths (outport-data) land in the volume, the one
# place that is written to: the rest may be mounted read-only.
USER 10001:10001
WORKDIR /var/lib/outport
VOLUME /var/lib/outport
ENV TMPDIR=/var/lib/outport
ENTRYPOINT ["outport"]

FROM runtime
# Last, because it alone changes from one version to the next. It belongs to root: nobody in the container can replace it.
COPY --from=build /outport /usr/local/bin/outport
