# A static binary, the public certificate authorities and nothing else: no shell, no libc, no package manager.
FROM rust:1.95-alpine AS build
# C is compiled too, by ring and mimalloc.
RUN apk add --no-cache ca-certificates musl-dev
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p kanary --no-default-features --bin kanary && cp target/release/kanary /kanary

FROM scratch
# A release says both; they are what `docker inspect` and dependency updaters read.
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kanary" \
      org.opencontainers.image.description="Progressive delivery for Kubernetes and Istio" \
      org.opencontainers.image.source="https://github.com/kanary-k8s/kanary" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /kanary /kanary
USER 65532:65532
ENTRYPOINT ["/kanary"]
CMD ["run"]
