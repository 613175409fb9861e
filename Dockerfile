# syntax=docker/dockerfile:1
FROM swift:6.3-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
      librdkafka-dev libcurl4-openssl-dev libssl-dev libmicrohttpd-dev libyaml-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Package.swift ./
COPY Sources Sources
COPY Tests Tests
RUN swift build -c release --static-swift-stdlib --product plugin-starter \
    && install -D .build/release/plugin-starter /out/plugin-starter

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      librdkafka1 libcurl4 libssl3 libmicrohttpd12 libyaml-0-2 ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home starter
COPY --from=build /out/plugin-starter /usr/local/bin/plugin-starter
USER 10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["plugin-starter"]
CMD ["--help"]
