#!/usr/bin/env bash
# Local images under the names that docker-compose.yml uses, for machines that reach no registry. See README.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
work=${STANDINS_WORK:-$root/var/standins}
engine=${DOCKER:-docker}
mkdir -p "$work"

debian=lienthong-standin/debian:bookworm
jaeger_module=github.com/jaegertracing/jaeger@v1.76.0 # the module that Jaeger 2.13.0 is built from
mailpit_module=github.com/axllent/mailpit@v1.27.11
collector_version=0.165.0

say() { printf '\n== %s\n' "$*"; }

# The name that compose gives an image, by the part before its tag.
named() { sed -n "s|^ *image: \($1:[^ ]*\)$|\1|p" "$root/docker-compose.yml" | head -n 1; }

build() { # name, folder of the context, Dockerfile
  say "$1"
  DOCKER_BUILDKIT=0 "$engine" build --network host --tag "$1" --file "$here/$3" "$2"
}

module() { go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'; }

make_debian() {
  say "$debian"
  local tree=$work/debian
  if [ ! -e "$tree/etc/debian_version" ]; then
    rm -rf "$tree"
    debootstrap --variant=minbase --include=ca-certificates,tzdata bookworm "$tree"
  fi
  # What this machine trusts, its images trust.
  cp /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/ca-certificates.crt"
  tar -C "$tree" -c . | "$engine" import \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8' - "$debian"
}

make_python() {
  build "$(sed -n 's/^ARG PYTHON_IMAGE=//p' "$root/deploy/Dockerfile")" "$here" python.Dockerfile
}

make_kafka() { build "$(named apache/kafka)" "$root/var/jars/kafka" kafka.Dockerfile; }

make_postgres() {
  local binaries
  binaries=$(ls -d "$root"/var/jars/postgres-*-18.*/)
  build "$(named postgres)" "$binaries" postgres.Dockerfile
}

make_go() { # image, binary's name, its path in the image; the binary lies in $work/bin
  mkdir -p "$work/bin/$2.context"
  cp "$work/bin/$2" "$work/bin/$2.context/$2"
  cp "$(command -v busybox || echo /bin/busybox)" "$work/bin/$2.context/busybox"
  sed "s|BINARY|$2|g; s|PLACE|$3|g" "$here/go.Dockerfile" >"$work/bin/$2.context/Dockerfile"
  say "$1"
  DOCKER_BUILDKIT=0 "$engine" build --tag "$1" "$work/bin/$2.context"
}

go_build() { # module, package, binary's name
  local source
  [ -x "$work/bin/$3" ] && return
  source=$(module "$1")
  (cd "$source" && CGO_ENABLED=0 nice go build -trimpath -ldflags '-s -w' -o "$work/bin/$3" "$2")
}

make_mailpit() {
  go_build "$mailpit_module" . mailpit
  make_go "$(named axllent/mailpit)" mailpit /mailpit
}

make_collector() {
  if [ ! -x "$work/bin/otelcol" ]; then
    go_build "go.opentelemetry.io/collector/cmd/builder@v$collector_version" . ocb
    sed "s/VERSION/$collector_version/" "$here/collector-builder.yaml" >"$work/collector-builder.yaml"
    (cd "$work" && CGO_ENABLED=0 nice bin/ocb --config collector-builder.yaml)
    cp "$work/collector/otelcol" "$work/bin/otelcol"
  fi
  make_go "$(named otel/opentelemetry-collector)" otelcol /otelcol
}

make_jaeger() {
  go_build "$jaeger_module" ./cmd/jaeger jaeger
  make_go "$(named jaegertracing/jaeger)" jaeger /cmd/jaeger/jaeger-linux
}

for one in "${@:-debian python kafka postgres mailpit collector jaeger}"; do
  for each in $one; do "make_$each"; done
done
