# A static binary, the public certificate authorities and nothing else: no shell, no libc, no package manager.
FROM rust:1-alpine AS build
# C is compiled too, by ring and mimalloc.
RUN apk add --no-cache ca-certificates musl-dev
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p kanary --no-default-features --bin kanary && cp target/release/kanary /kanary

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /kanary /kanary
USER 65532:65532
ENTRYPOINT ["/kanary"]
CMD ["run"]
