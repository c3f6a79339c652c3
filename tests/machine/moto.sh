# shellcheck shell=bash
# moto, a stand-in for AWS (S3, SQS, Batch, Secrets Manager, SNS). The tests start and end the servers.

# shellcheck disable=SC2154 # python_folder and python_problem are of python.sh
need_moto() {
    make_python moto tests/machine/moto.txt || { say "moto is missing: $python_problem"; exit 1; }
    export OUTPORT_TEST_MOTO=$python_folder/bin/moto_server
}
