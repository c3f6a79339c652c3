# shellcheck shell=bash
# The tests of deploy/outport.yaml: Python's cfn-lint and checkov in a virtual environment, and the rules of tests/deploy.

deploy_limit_s=900

# shellcheck disable=SC2154 # run is of run_folder.sh, python_folder and python_problem of python.sh
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
    if ! make_python deploy tests/deploy/requirements.txt; then
        if [ "$set" = embedded ]; then
            # As a skipped test of Rust: one that passed, and is in the list.
            printf 'SKIP deploy: %s\n' "$python_problem"
            printf 'deploy: %s\n' "$python_problem" >>"$OUTPORT_TEST_SKIPS"
            printf 'test result: ok. 1 passed; 0 failed\n' >>"$log"
            return 0
        fi
        say "the tests of the template could not run: $python_problem"
        printf 'test deploy ... FAILED\ntest result: FAILED. 0 passed; 1 failed\n' >>"$log"
        return 1
    fi
    TMPDIR=$run/tmp in_background "$deploy_limit_s" \
        "$python_folder/bin/python" -B tests/deploy "${filters[@]}" >"$run/deploy.log" 2>&1
    wait "$cargo_pid" || status=$?
    cargo_pid=
    cat "$run/deploy.log"
    cat "$run/deploy.log" >>"$log"
    return "$status"
}
