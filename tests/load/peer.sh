# r-nacos, the Nacos server written in Rust, for scripts to source after started.sh: installs it once by name, which
# takes long, into the folder BEATRIX_PEERS, or else ~/.cache/beatrix-peers; and starts it on free ports of the
# loopback interface.

peer_version=0.8.8
peers="${BEATRIX_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/beatrix-peers}"
peer="$peers/rnacos-$peer_version/bin/rnacos"

if [ ! -x "$peer" ]; then
  echo "Installing rnacos $peer_version into $peers"
  timeout 7200 cargo install rnacos --version "=$peer_version" --locked --quiet --root "$peers/rnacos-$peer_version"
fi

# free_port: a port of the loopback interface on which nobody listens, and none of those that the system gives out.
free_port() {
  local port
  while true; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

# start_peer: sets peer_addr, peer_grpc_addr and peer_pid.
start_peer() {
  local http grpc folder
  http="$(free_port)"
  grpc="$(free_port)"
  folder="$(mktemp -d "$scratch/rnacos.XXXXXX")"
  (cd "$folder" && exec env -i PATH="$PATH" HOME="$folder" RUST_LOG=warn RNACOS_DATA_DIR="$folder/data" \
    RNACOS_SDK_HOST=127.0.0.1 RNACOS_HTTP_PORT="$http" RNACOS_GRPC_PORT="$grpc" RNACOS_HTTP_CONSOLE_PORT=0 \
    RNACOS_RAFT_NODE_ADDR="127.0.0.1:$grpc" "$peer") >"$folder/log" 2>&1 &
  peer_pid=$!
  started+=("$peer_pid")
  peer_addr="127.0.0.1:$http"
  peer_grpc_addr="127.0.0.1:$grpc"
  for _ in $(seq 200); do
    # It refuses what comes before it is the leader of itself.
    if "$bin/beatrix-load" register --addr "$peer_addr" --instances 1 --connections 1 2>/dev/null |
      grep -q ' refused=0 '; then
      return
    fi
    sleep 0.1
  done
  echo "r-nacos is not ready: $(cat "$folder/log")" >&2
  return 1
}
