# served.sh: what checks of the service by other people's clients share; sourced from the root of the repository.

# a_home HOME: it has a version to serve; tools: a folder with a virtual environment of Python
a_home() {
    [ -e "$1/production/recommend" ] || { echo "$1: expected a home with a version in production (./run demo makes one)"; exit 2; }
    tools=build/clients
    mkdir -p $tools
    [ -x $tools/venv/bin/python ] || python3 -m venv $tools/venv
}

# serve HOME: sets url; the server ends with the script
serve() {
    port=$((20000 + $$ % 20000))
    url=http://127.0.0.1:$port
    build/tessera --home "$1" serve --port $port 2>$tools/serve.log &
    server=$!
    trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true' EXIT
    for _ in $(seq 600); do
        ! curl -sf "$url/readyz" >/dev/null || return 0
        kill -0 $server 2>/dev/null || break
        sleep 0.1
    done
    echo "$1: the service is not ready after a minute:" && tail -3 $tools/serve.log
    exit 1
}
