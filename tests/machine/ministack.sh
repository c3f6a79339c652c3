# shellcheck shell=bash
# MiniStack, a second stand-in for AWS. Its events of S3 have what moto's lack: versions, sequencers, and one event for an upload in
# parts. The tests start and end the servers.

# shellcheck disable=SC2154 # python_folder and python_problem are of python.sh
need_ministack() {
    make_python ministack tests/machine/ministack.txt || { say "MiniStack is missing: $python_problem"; exit 1; }
    export OUTPORT_TEST_MINISTACK=$python_folder/bin/ministack
}
