# shellcheck shell=bash
# `tests/run --bench json`: JSON to CSV, against other converters.

# Six inputs, thirteen lines, three rounds: two hours if none is stopped, and each can be stopped after five minutes.
json_bench_limit_s=43200

# run_json_bench ARGUMENT...
run_json_bench() {
    local argument
    for argument in "$@"; do
        # Neither apt nor pip for somebody who only asks.
        case $argument in -h | --help) build_release; run_release 60 json-bench --help ;; esac
    done
    bring_peers miller=mlr jq=jq
    # What Debian's Python lacks for a virtual environment.
    venv_python >/dev/null || bring_peers python3-venv=no-such-program
    # shellcheck disable=SC2154 # python_folder and python_problem are of python.sh
    if make_python json-peers tests/machine/json_peers.txt; then
        export OUTPORT_BENCH_PYTHON=$python_folder/bin/python
    else
        say "not measured, what comes from PyPI: $python_problem"
    fi
    build_release
    run_release "$json_bench_limit_s" json-bench "$@"
}
