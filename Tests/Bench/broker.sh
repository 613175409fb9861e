# Sourced: sets `servers` to a broker's address, and `own` to its process where it was started here, with data in $work.
if [ -n "${KAFKA_BOOTSTRAP_SERVERS:-}" ]; then
  servers=$KAFKA_BOOTSTRAP_SERVERS
else
  : "${KAFKA_HOME:?set KAFKA_BOOTSTRAP_SERVERS, or KAFKA_HOME to an Apache Kafka distribution}"
  read -r port controller < <(python3 -c 'import socket
a=socket.socket(); a.bind(("127.0.0.1",0)); b=socket.socket(); b.bind(("127.0.0.1",0))
print(a.getsockname()[1], b.getsockname()[1])')
  servers=127.0.0.1:$port
  cat > "$work/server.properties" <<P
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://$servers,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://$servers
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$work/data
num.partitions=12
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
P
  "$KAFKA_HOME/bin/kafka-storage.sh" format --cluster-id "$("$KAFKA_HOME/bin/kafka-storage.sh" random-uuid)" \
    --config "$work/server.properties" >/dev/null
  LOG_DIR=$work "$KAFKA_HOME/bin/kafka-server-start.sh" "$work/server.properties" >"$work/broker.log" 2>&1 &
  own=$!
  disown $own
  for _ in $(seq 300); do kcat -L -b "$servers" -m 1 >/dev/null 2>&1 && break; done
fi

# The number of records in a topic with so many partitions (default 12).
ends() { kcat -Q -b "$servers" $(for p in $(seq 0 $((${2:-12} - 1))); do echo "-t $1:$p:-1"; done) | awk '{s+=$NF} END {print s + 0}'; }
# Creates topics with so many partitions. With 12, the broker creates a topic when a client asks for it.
topics() {
  local partitions=$1; shift
  for t; do
    [ "$partitions" = 12 ] || "$KAFKA_HOME/bin/kafka-topics.sh" --bootstrap-server "$servers" --create --topic "$t" --partitions "$partitions" >/dev/null
    until kcat -L -b "$servers" -t "$t" -X allow.auto.create.topics=true | grep -q "with $partitions partitions"; do :; done
  done
}
