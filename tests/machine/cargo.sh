# shellcheck shell=bash
# Building and running the tests, each within a time limit, and the count of what really ran.

build_limit_s=3000
declare -A test_limit_s=([embedded]=900 [default]=1800 [full]=14400)
cargo_pid=

# in_background LIMIT COMMAND...: starts it; `wait "$cargo_pid"` gives its status. In the background, so that a signal
# to this script is acted on at once; if this script is killed outright, the kernel ends it.
in_background() {
    local limit=$1 with=()
    shift
    ! command -v setpriv >/dev/null || with+=(setpriv --pdeathsig TERM)
    ! command -v timeout >/dev/null || with+=(timeout --kill-after=20 "$limit")
    "${with[@]}" "$@" </dev/null &
    cargo_pid=$!
}

stop_cargo() {
    [ -n "$cargo_pid" ] || return 0
    kill -TERM "$cargo_pid" 2>/dev/null
    wait "$cargo_pid" 2>/dev/null
    cargo_pid=
}

build_tests() {
    local started=$SECONDS status=0
    say "building (the first time takes minutes)"
    # One call for the binary and the tests, and always the whole workspace: cargo unites the features of what it is
    # asked for, and another selection compiles the dependencies a second time.
    in_background "$build_limit_s" cargo build --workspace --bins --tests 2>&1
    wait "$cargo_pid" || status=$?
    cargo_pid=
    say "built in $((SECONDS - started)) s"
    [ "$status" = 0 ] || { say "the build failed (exit $status)"; exit 1; }
}

# run_tests SET FILTER...: ends the script with the tests' status.
run_tests() {
    local set=$1 limit=${test_limit_s[$1]} log=$run/tests.log started=$SECONDS status=0 only=() left
    shift
    # Without documentation tests when looking for one test: they compile anew each time.
    [ $# -eq 0 ] || only=(--lib --bins --tests)
    say "testing"
    : >"$log"
    TMPDIR=$run/tmp in_background "$limit" \
        cargo test --workspace --no-fail-fast "${only[@]}" -- "$@" >"$log" 2>&1
    # Not through a pipe: whoever a test leaves behind would hold it open.
    tail -n +1 -f -s 0.2 --pid="$cargo_pid" "$log" &
    wait "$cargo_pid" || status=$?
    cargo_pid=
    wait $! || true
    say "tested in $((SECONDS - started)) s"
    [ "$status" != 124 ] || say "stopped: the tests took longer than $limit s"
    test_deploy "$set" "$log" "$@" || status=1
    test_unsafe_code "$set" "$log" "$@" || status=1

    # What a test started ends with its process, but the kernel takes a moment.
    for _ in {1..20}; do
        [ -n "$(strays "$run")" ] || break
        sleep 0.1
    done
    left=$(end_strays "$run")
    if [ -n "$left" ]; then
        say "left behind by the tests, and ended now:"
        printf '%s\n' "$left"
        status=1
    fi
    left=$(left_containers)
    if [ -n "$left" ]; then
        say "containers that the tests left behind, and removed now:"
        printf '%s\n' "$left"
        status=1
    fi
    if [ "$set" = full ] && [ ${#only[@]} -eq 0 ]; then
        print_load || { say "the load run failed: a build, or a ledger that does not balance"; status=1; }
    fi
    count_tests "$log" "$status"
    exit "$counted_status"
}

# count_tests LOG STATUS: prints what failed, what was skipped and the closing line, from the test programs' own results.
count_tests() {
    local passed failed skipped
    counted_status=$2
    read -r passed failed < <(awk '/^test result: / { sub(/.*result: [^ ]* /, ""); passed += $1; failed += $3 }
        END { print passed + 0, failed + 0 }' "$1")
    skipped=$(sort -u "$OUTPORT_TEST_SKIPS" | wc -l)
    # For the test programs a skipped test is one that passed.
    passed=$((passed - skipped))
    # A test program that died has no result line, and still failed.
    [ "$counted_status" = 0 ] || [ "$failed" -gt 0 ] || failed=1
    if [ "$failed" -gt 0 ]; then
        say "failed:"
        grep -E '^test .* FAILED$|^error: |signal: ' "$1" || true
    fi
    if [ "$skipped" -gt 0 ]; then
        say "skipped:"
        sort -u "$OUTPORT_TEST_SKIPS"
    fi
    if [ $((passed + failed + skipped)) -eq 0 ]; then
        say "no test has such a name"
        counted_status=1
    fi
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
}
