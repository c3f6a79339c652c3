# shellcheck shell=bash
# The load table at the end of a full run: numbers to read, and a ledger that has to balance.

load_build_limit_s=3000
load_limit_s=1800

# print_load: 0 unless it cannot be built, or a delivery was lost or doubled. A goal that is missed is no failure: the
# table says so.
print_load() {
    local started=$SECONDS
    say "building the release binaries for the load table (the first time takes 10 minutes)"
    in_background "$load_build_limit_s" cargo build --release --workspace --bins 2>&1
    wait "$cargo_pid" || { cargo_pid=; say "the release build failed"; return 1; }
    cargo_pid=
    # The tests' cluster forgets what it commits. A new one that does not: with PostgreSQL's own settings.
    stop_postgres
    rm -rf "$run/postgres"
    postgres_settings=()
    start_postgres
    say "measuring: $run/load.txt"
    TMPDIR=$run/tmp in_background "$load_limit_s" "${CARGO_TARGET_DIR:-target}/release/load" --quick >"$run/load.txt"
    local status=0
    wait "$cargo_pid" || status=$?
    cargo_pid=
    cat "$run/load.txt"
    say "measured in $((SECONDS - started)) s, the build included"
    return "$status"
}
