# shellcheck shell=bash
# `tests/run --bench`: ours against other tools, in a release build.

# bring_peers PACKAGE=PROGRAM...: what is compared, as Debian has it. None is needed: the benches say which one they did not find.
bring_peers() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair#*=}" >/dev/null || missing+=("${pair%%=*}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! is_root || ! command -v apt-get >/dev/null; then
        say "not installed, and therefore not measured: ${missing[*]}"
        return 0
    fi
    # A subshell: a program that apt cannot bring must not end the run.
    (install_packages "${missing[@]}") || say "not measured: what of ${missing[*]} is still missing"
}

build_release() {
    say "building the release binaries (the first time takes 10 minutes)"
    in_background "$load_build_limit_s" cargo build --release --workspace --bins 2>&1
    wait "$cargo_pid" || { cargo_pid=; say "the release build failed"; exit 1; }
    cargo_pid=
}

# run_release LIMIT PROGRAM ARGUMENT...: ends the script with the program's status.
run_release() {
    local limit=$1 program=$2 status=0
    shift 2
    TMPDIR=$run/tmp in_background "$limit" "${CARGO_TARGET_DIR:-target}/release/$program" "$@"
    wait "$cargo_pid" || status=$?
    cargo_pid=
    exit "$status"
}

# run_sftp_bench ARGUMENT...: SFTP, against other clients.
run_sftp_bench() {
    need_programs
    make_user
    bring_peers lftp=lftp rclone=rclone curl=curl
    build_release
    run_release 7200 bench "$@"
}
