#!/bin/sh
# instructions.sh PROGRAM BOUND: counts the user-space instructions of a request for
# /plaintext, from the connection up, and fails if they exceed the bound. The difference of two counts
# excludes the start and the end of the program.
set -eu
bound=$2 # per request, with many connections per turn, as under load
conns=64
program=$1
command -v valgrind >/dev/null || {
    echo 'skipped: valgrind is not installed'
    exit 77
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

count() { # REQUESTS CONNECTIONS
    valgrind --tool=callgrind --callgrind-out-file="$dir/$1" "$program" "$1" "$2" >"$dir/log" 2>&1 || {
        cat "$dir/log"
        exit 1
    }
    callgrind_annotate --threshold=100 "$dir/$1" >"$dir/$1.txt"
}

# table FEW MANY CONNECTIONS: instructions per request of each function, the most first; "all" of all,
# "engine" of the engine in memory, "own" of the rest.
table() {
    count "$1" "$3"
    count "$2" "$3"
    awk -v requests=$((($2 - $1) * $3)) '
        /^[ 0-9,]+\([ 0-9.]+%\)/ {
            ir = $1
            gsub(/,/, "", ir)
            name = $0
            sub(/^[ 0-9,]+\([ 0-9.]+%\) */, "", name)
            sub(/ \[[^]]*\]$/, "", name)
            sub(/^[^ ]*:/, "", name)
            if (name == "PROGRAM TOTALS") name = "all"
            sum[name] += FILENAME == ARGV[1] ? -ir : ir
            if (name ~ /^mem_/) sum["engine"] += FILENAME == ARGV[1] ? -ir : ir
        }
        END {
            sum["own"] = sum["all"] - sum["engine"]
            for (name in sum)
                if (sum[name] >= requests) printf "%8.1f %s\n", sum[name] / requests, name
        }' "$dir/$1.txt" "$dir/$2.txt" | sort -rn
}

value() { awk -v name="$2" '$2 == name { print $1 }' "$1"; }

table 1000 6000 1 >"$dir/one"
table 20 120 $conns >"$dir/many"
own=$(value "$dir/many" own)
echo "instructions per request: $own with $conns connections (at most $bound), $(value "$dir/one" own) with one"
echo "(without $(value "$dir/many" engine) and $(value "$dir/one" engine) of the engine in memory)"
grep -v -e ' all$' -e ' own$' -e ' engine$' -e ' mem_' "$dir/many" | head -n 30
awk -v own="$own" -v bound="$bound" 'BEGIN { exit !(own > 0 && own <= bound) }'
