# Beatrix and r-nacos beside each other, for scripts to source: what starts them, which core each gets, and the figures of
# both. A side is `registry` or `peer`.

source "$(dirname "${BASH_SOURCE[0]}")/started.sh"
source tests/load/peer.sh

# pin_cores: gives what is started from now on the first core, and sets load to the load program on the second. Before
# anything is started, so that all servers make as many threads as they have cores.
pin_cores() {
  load=("$bin/beatrix-load")
  if [ "${PIN:-true}" = true ]; then
    taskset -c -p 0 $$ >/dev/null
    load=(taskset -c 1 "${load[@]}")
  fi
}

# start_grpc SIDE: one of the two, with Nacos over gRPC at registry_grpc_addr or peer_grpc_addr.
start_grpc() {
  case "$1" in
    registry)
      start_registry --log warn,beatrix::serve=info --nacos-grpc-addr 127.0.0.1:0
      registry_grpc_addr="$(await "$scratch/registry.log" '.*"nacos_grpc_addr":"([^"]*)".*')"
      ;;
    peer) start_peer ;;
  esac
}

start_both_grpc() {
  start_grpc registry
  start_grpc peer
}

stop_side() {
  case "$1" in
    registry) stop "$registry_pid" ;;
    peer) stop "$peer_pid" ;;
  esac
}

stop_both() {
  stop_side registry
  stop_side peer
}

# order ROUND: both sides, the first of them in turn.
order() {
  if [ $(($1 % 2)) -eq 1 ]; then echo registry peer; else echo peer registry; fi
}

# load_grpc SIDE KIND FLAG...: one run of a load over gRPC on one side; sets report. A wrong answer ends the load, and the
# script with it.
load_grpc() {
  local side="$1" addr pid
  shift
  case "$side" in
    registry) addr="$registry_grpc_addr" pid="$registry_pid" ;;
    peer) addr="$peer_grpc_addr" pid="$peer_pid" ;;
  esac
  report="$("${load[@]}" "$@" --addr "$addr" --pid "$pid")"
  echo "$side $report"
}

# keep NAME SIDE FIGURE...: keeps figures of the report for medians.
keep() {
  local name="$1" side="$2" figure
  shift 2
  for figure in "$@"; do
    value "$figure" <<<"$report" >>"$scratch/$name.$side.$figure"
  done
}

# middle NAME SIDE FIGURE: the median of a figure.
middle() { median <"$scratch/$1.$2.$3"; }

# peer_to_registry NAME FIGURE, registry_to_peer NAME FIGURE: the ratio of the medians.
peer_to_registry() { ratio_of_medians "$1.peer.$2" "$1.registry.$2"; }
registry_to_peer() { ratio_of_medians "$1.registry.$2" "$1.peer.$2"; }
