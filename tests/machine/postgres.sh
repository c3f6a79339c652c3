# shellcheck shell=bash
# A PostgreSQL cluster of this run alone: in its folder, on a free port of loopback, gone at the end.

postgres_pid=
# Durability is not what the tests are about: the cluster lives as long as the run.
postgres_settings=(-c fsync=off -c full_page_writes=off -c synchronous_commit=off)

start_postgres() {
    local programs data=$run/postgres/data password as=(setpriv) started=$SECONDS try port
    programs=$(postgres_programs)
    password=$(random_word)
    mkdir -m 700 "$run/postgres"
    printf '%s\n' "$password" >"$run/postgres/password"
    if is_root; then
        chown -R "$test_user:" "$run/postgres"
        as+=(--reuid="$test_user" --regid="$test_user" --clear-groups)
    fi
    # If this script is killed outright, the kernel stops the server (2 = SIGINT, a fast shutdown).
    as+=(--pdeathsig INT env -u PGDATA LC_ALL=C.UTF-8 HOME="$run/postgres")
    "${as[@]}" "$programs/initdb" -D "$data" -U outport --pwfile="$run/postgres/password" -A scram-sha-256 \
        -E UTF8 --locale=C.UTF-8 --no-sync >"$run/postgres.log" 2>&1 </dev/null ||
        { cat "$run/postgres.log"; say "initdb failed"; exit 1; }
    for try in 1 2 3 4 5 6 7 8 9 10; do
        # Below 32768, where the kernel begins to take ports for outgoing connections.
        port=$((20000 + RANDOM % 12000))
        (cd / && exec "${as[@]}" "$programs/postgres" -D "$data" -p "$port" -c listen_addresses=127.0.0.1 \
            -c unix_socket_directories= -c max_connections=300 "${postgres_settings[@]}") \
            >>"$run/postgres.log" 2>&1 </dev/null &
        postgres_pid=$!
        if is_ready "$data"; then
            export OUTPORT_TEST_POSTGRES=postgres://outport:$password@127.0.0.1:$port/postgres
            say "PostgreSQL $("$programs/postgres" -V | grep -o '[0-9.]*' | head -n 1) on 127.0.0.1:$port," \
                "started in $((SECONDS - started)) s"
            return
        fi
        say "PostgreSQL did not start on port $port (try $try of 10)"
        stop_postgres
    done
    cat "$run/postgres.log"
    say "PostgreSQL could not be started"
    exit 1
}

# Waits until the server of data folder $1 takes connections: line 8 of its pid file says so. At most 30 s.
is_ready() {
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        ! sed -n 8p "$1/postmaster.pid" 2>/dev/null | grep -q '^ready' || return 0
        kill -0 "$postgres_pid" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

stop_postgres() {
    [ -n "$postgres_pid" ] || return 0
    # SIGINT: fast shutdown. A server that does not obey within 20 s gets SIGQUIT, then SIGKILL.
    local signal tries
    for signal in INT QUIT KILL; do
        kill "-$signal" "$postgres_pid" 2>/dev/null || break
        for ((tries = 0; tries < 200; tries++)); do
            kill -0 "$postgres_pid" 2>/dev/null || break 2
            sleep 0.1
        done
    done
    wait "$postgres_pid" 2>/dev/null || true
    postgres_pid=
}
