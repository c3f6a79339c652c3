# One image, one binary: `docker run outport up`, `docker run outport apply partners.toml`, ...
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --package outport --bin outport

FROM debian:bookworm-slim
# tzdata: remote names may hold the local time of arrival. ca-certificates: private authorities are added here.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/outport outport
COPY --from=build /build/target/release/outport /usr/local/bin/outport
# By number, so that an orchestrator can see that it is not root. Relative paths (outport-data) land in the volume.
USER 10001
WORKDIR /var/lib/outport
VOLUME /var/lib/outport
ENTRYPOINT ["outport"]
