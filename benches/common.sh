# What the benchmarks share; to be sourced from the root of the repository, with `runs` set.

out=$PWD/target/bench
mkdir -p "$out"

head_of_measures() { printf '%-26s%-10s%9s %7s  %s\n' work program "mean ms" "σ" "podinit / it"; }
head_of_memory() { printf '%-36s%9s\n' "peak memory" "MiB"; }

# measure NAME [--prepare CMD]... -- LABEL COMMAND [LABEL COMMAND]...: one hyperfine run over the peers.
measure() {
    local name=$1 options=() names=()
    shift
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    local commands=()
    while [ $# -gt 0 ]; do names+=(--command-name "$1"); commands+=("$2"); shift 2; done
    local noise=$out/$name.log
    hyperfine -N --warmup 5 --runs "$runs" --style none --export-json "$out/$name.json" \
        "${options[@]}" "${names[@]}" "${commands[@]}" >/dev/null 2>"$noise" || { cat "$noise" >&2; exit 1; }
    rm "$noise"
    /usr/bin/python3 - "$name" "$out/$name.json" <<'PY'
import json, sys
results = json.load(open(sys.argv[2]))["results"]
own = results[0]["mean"]
for result in results:
    name = sys.argv[1].replace("-", " ") if result is results[0] else ""
    ratio = "" if result is results[0] else f"{own / result['mean']:6.2f}"
    print(f"{name:<26}{result['command']:<10}{result['mean'] * 1000:9.2f} ±{result['stddev'] * 1000:6.2f}  {ratio}")
PY
}

# memory NAME COMMAND...: the peak of the resident set.
memory() {
    local name=$1 kib
    shift
    kib=$(/usr/bin/time -v "$@" 2>&1 >/dev/null | sed -n 's/.*Maximum resident set size (kbytes): //p')
    awk -v name="$name" -v kib="$kib" 'BEGIN { printf "%-36s%9.2f\n", name, kib / 1024 }'
}
