FROM lienthong-standin/debian:bookworm
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless netcat-openbsd \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --create-home --shell /bin/bash appuser \
 && mkdir -p /etc/kafka/docker /etc/kafka/secrets /opt/kafka/libs /opt/kafka/config /opt/kafka/logs /mnt/shared/config \
      /var/lib/kafka/data \
 && for each in server.properties log4j2.yaml tools-log4j2.yaml; do echo >/etc/kafka/docker/$each; done \
 && printf '%s\n' '#!/bin/bash' 'set -e' \
      'export CLASSPATH="/opt/kafka/libs/*"' \
      'said=$(java kafka.docker.KafkaDockerWrapper setup --default-configs-dir /etc/kafka/docker \' \
      '  --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) ||' \
      '  grep -q "already formatted" <<<"$said" || { echo "$said"; exit 1; }' \
      'exec java ${KAFKA_HEAP_OPTS:--Xmx1G -Xms1G} -XX:+ExitOnOutOfMemoryError \' \
      '  -Dorg.slf4j.simpleLogger.defaultLogLevel=warn kafka.Kafka /opt/kafka/config/server.properties' \
      >/etc/kafka/docker/run \
 && chmod 0755 /etc/kafka/docker/run \
 && chown -R appuser:appuser /opt/kafka /mnt/shared/config /var/lib/kafka /etc/kafka
COPY --chown=appuser:appuser . /opt/kafka/libs/
ENV CLUSTER_ID=5L6g3nShT-eMCtK--X86sw
EXPOSE 9092
USER appuser
VOLUME ["/etc/kafka/secrets", "/var/lib/kafka/data", "/mnt/shared/config"]
CMD ["/etc/kafka/docker/run"]
