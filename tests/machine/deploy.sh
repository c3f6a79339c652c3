# shellcheck shell=bash
# The tests of deploy/outport.yaml: Python's cfn-lint and checkov in a virtual environment, and the rules of tests/deploy.

deploy_limit_s=900
deploy_problem=

# A Python that can make virtual environments and is as new as the pinned packages want.
venv_python() {
    local python
    for python in /usr/bin/python3 python3; do
        if "$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    return 1
}

# make_deploy_environment: sets deploy_environment, and makes it unless it is there: it is kept from run to run. If it
# cannot be made, deploy_problem says why.
make_deploy_environment() {
    local python requirements=tests/deploy/requirements.txt
    python=$(venv_python) || { deploy_problem="no Python of 3.11 or newer with venv (Debian: python3-venv)"; return 1; }
    # Of these packages, for this Python.
    deploy_environment=${XDG_CACHE_HOME:-$HOME/.cache}/outport/deploy-$(
        { "$python" -VV && cat "$requirements"; } | sha256sum | cut -c1-12
    )
    [ ! -e "$deploy_environment/complete" ] || return 0
    say "making $deploy_environment with pip (once, a minute or two; it stays)"
    mkdir -p "${deploy_environment%/*}"
    # Two runs must not make it at the same time.
    (
        ! command -v flock >/dev/null || flock 9
        [ ! -e "$deploy_environment/complete" ] || exit 0
        rm -rf "$deploy_environment"
        "$python" -m venv "$deploy_environment" &&
            timeout 900 "$deploy_environment/bin/pip" install --quiet --disable-pip-version-check \
                --requirement "$requirements" </dev/null &&
            touch "$deploy_environment/complete"
    ) 9>"$deploy_environment.lock" 2>&1 ||
        { deploy_problem="pip could not bring cfn-lint and checkov"; return 1; }
}

# shellcheck disable=SC2154 # run is of run_folder.sh
# test_deploy SET LOG FILTER...: runs them and adds what they say to LOG. With filters only when one begins with `deploy`.
test_deploy() {
    local set=$1 log=$2 status=0 filters=()
    shift 2
    if [ $# -gt 0 ]; then
        for filter in "$@"; do
            [[ $filter != deploy* ]] || filters+=("$filter")
        done
        [ ${#filters[@]} -gt 0 ] || return 0
    fi
    if ! make_deploy_environment; then
        if [ "$set" = embedded ]; then
            # As a skipped test of Rust: one that passed, and is in the list.
            printf 'SKIP deploy: %s\n' "$deploy_problem"
            printf 'deploy: %s\n' "$deploy_problem" >>"$OUTPORT_TEST_SKIPS"
            printf 'test result: ok. 1 passed; 0 failed\n' >>"$log"
            return 0
        fi
        say "the tests of the template could not run: $deploy_problem"
        printf 'test deploy ... FAILED\ntest result: FAILED. 0 passed; 1 failed\n' >>"$log"
        return 1
    fi
    TMPDIR=$run/tmp in_background "$deploy_limit_s" \
        "$deploy_environment/bin/python" -B tests/deploy "${filters[@]}" >"$run/deploy.log" 2>&1
    wait "$cargo_pid" || status=$?
    cargo_pid=
    cat "$run/deploy.log"
    cat "$run/deploy.log" >>"$log"
    return "$status"
}
