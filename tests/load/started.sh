# What the scripts beside it have started, for them to source: builds the release programs, starts the registry and
# the bare handlers on free ports of the loopback interface, and stops them at the end. Not part of CI: what the
# scripts print depends on the machine.

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

scratch="$(mktemp -d)"
started=()

stop_all() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$scratch"
}
trap stop_all EXIT

# stop PID: ends one of those that were started.
stop() {
  local pid left=()
  kill "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
  # Its number may soon be somebody else's.
  for pid in "${started[@]}"; do
    [ "$pid" = "$1" ] || left+=("$pid")
  done
  started=("${left[@]}")
}

cargo build --release --locked --quiet -p beatrix -p beatrix-tests
bin="$(realpath "${CARGO_TARGET_DIR:-target}/release")"

# await FILE PATTERN: prints what PATTERN's group matches in FILE, once it does.
await() {
  local found
  for _ in $(seq 200); do
    found="$(sed -nE "s/$2/\1/p" "$1" | head -n 1)"
    if [ -n "$found" ]; then
      echo "$found"
      return
    fi
    sleep 0.05
  done
  echo "not started: $(cat "$1")" >&2
  return 1
}

# start_registry FLAG...: sets registry_addr and registry_pid. Each has a folder of its own, so that none finds what
# another has kept, unless it is told where.
start_registry() {
  local folder
  folder="$(mktemp -d "$scratch/registry.XXXXXX")"
  # Or the address of the one before is found in it.
  rm -f "$scratch/registry.log"
  : >"$scratch/registry.log"
  (cd "$folder" && exec env -i PATH="$PATH" "$bin/beatrix" --http-addr 127.0.0.1:0 --log-format json "$@") \
    >"$scratch/registry.log" 2>&1 &
  registry_pid=$!
  started+=("$registry_pid")
  registry_addr="$(await "$scratch/registry.log" '.*"http_addr":"([^"]*)".*')"
}

# start_bare FLAG...: sets bare_addr and bare_pid.
start_bare() {
  "$bin/beatrix-load" --threads 2 bare "$@" >"$scratch/bare.log" 2>&1 &
  bare_pid=$!
  started+=("$bare_pid")
  bare_addr="$(await "$scratch/bare.log" '^listening (.*)$')"
}

# value NAME: the value of NAME in the report on standard input.
value() { tr ' ' '\n' | sed -n "s/^$1=//p"; }

# median: the median of the numbers on standard input, a line each.
median() { sort -g | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

# ratio_of_medians FILE FILE: of the numbers in two files of the scratch folder.
ratio_of_medians() { ratio "$(median <"$scratch/$1")" "$(median <"$scratch/$2")"; }

# ratio A B: of A to B. To nothing there is none.
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b == 0) print "-"; else printf "%.3f\n", a / b }'; }
