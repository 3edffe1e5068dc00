FROM lienthong-standin/debian:bookworm
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-client \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 999 postgres \
 && useradd --system --uid 999 --gid 999 --home-dir /var/lib/postgresql --shell /bin/bash postgres \
 && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql \
 && install -d -o postgres -g postgres -m 3777 /var/run/postgresql \
 && printf '%s\n' '#!/bin/bash' 'set -e' \
      'if [ ! -s "$PGDATA/PG_VERSION" ]; then' \
      '  if [ -n "$POSTGRES_PASSWORD_FILE" ]; then POSTGRES_PASSWORD=$(<"$POSTGRES_PASSWORD_FILE"); fi' \
      '  if [ -z "$POSTGRES_PASSWORD" ]; then echo "Error: superuser password is not specified." >&2; exit 1; fi' \
      '  mkdir -p "$PGDATA" && chmod 0700 "$PGDATA"' \
      '  eval initdb --username=postgres --pwfile=<(echo "$POSTGRES_PASSWORD") "$POSTGRES_INITDB_ARGS"' \
      '  printf "\nhost all all all scram-sha-256\n" >>"$PGDATA/pg_hba.conf"' \
      'fi' \
      'unset POSTGRES_PASSWORD' \
      'exec "$@"' \
      >/usr/local/bin/docker-entrypoint.sh \
 && chmod 0755 /usr/local/bin/docker-entrypoint.sh
COPY . /usr/lib/postgresql/18/
ENV PATH=/usr/lib/postgresql/18/bin:$PATH PGDATA=/var/lib/postgresql/18/docker
RUN echo "listen_addresses = '*'" >>/usr/lib/postgresql/18/share/postgresql/postgresql.conf.sample
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
