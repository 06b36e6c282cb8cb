# syntax=docker/dockerfile:1
# Two stages: the first compiles, the second holds the binary and certificates, without build tools. The simulator
# and the demo are left out.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# The C compiler is for SQLite and for the cryptography, which are compiled in. It is in this stage only, so that its
# version need not be pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc g++ libc6-dev make \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --no-default-features --features postgres,jemalloc --bin emgate \
    && cp target/release/emgate /emgate

FROM debian:bookworm-slim AS runtime
# Certificates follow the base image: a pinned version would become outdated.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 emgate \
    && useradd --uid 65532 --gid 65532 --no-create-home --home-dir /var/lib/emgate --shell /usr/sbin/nologin emgate \
    && install -d -o emgate -g emgate -m 0700 /var/lib/emgate
COPY --from=build /emgate /usr/local/bin/emgate
USER 65532:65532
WORKDIR /var/lib/emgate
VOLUME ["/var/lib/emgate"]
# Every address, IPv4 included; IPv4 alone where there is no IPv6.
ENV EMGATE_SERVER__LISTEN=[::]:8080 \
    EMGATE_STORE__URL=sqlite:///var/lib/emgate/emgate.db
EXPOSE 8080
# The binary checks its own health: the image has no curl.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["emgate", "health"]
ENTRYPOINT ["emgate"]
CMD ["serve"]
