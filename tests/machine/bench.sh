# shellcheck shell=bash
# `tests/run --bench`: SFTP against other clients, in a release build.

# The clients that are compared. None is needed: the bench says which one it did not find.
bring_clients() {
    local missing=()
    command -v lftp >/dev/null || missing+=(lftp)
    command -v rclone >/dev/null || missing+=(rclone)
    command -v curl >/dev/null || missing+=(curl)
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! is_root || ! command -v apt-get >/dev/null; then
        say "not installed, and therefore not measured: ${missing[*]}"
        return 0
    fi
    # A subshell: a client that apt cannot bring must not end the run.
    (install_packages "${missing[@]}") || say "not measured: what of ${missing[*]} is still missing"
}

# run_bench ARGUMENT...: ends the script with the bench's status.
run_bench() {
    local status=0
    bring_clients
    say "building the release binaries (the first time takes 10 minutes)"
    in_background "$load_build_limit_s" cargo build --release --workspace --bins 2>&1
    wait "$cargo_pid" || { cargo_pid=; say "the release build failed"; exit 1; }
    cargo_pid=
    TMPDIR=$run/tmp in_background 7200 "${CARGO_TARGET_DIR:-target}/release/bench" "$@"
    wait "$cargo_pid" || status=$?
    cargo_pid=
    exit "$status"
}
