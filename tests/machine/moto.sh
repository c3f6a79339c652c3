# shellcheck shell=bash
# moto, a stand-in for S3 (and more of AWS) from PyPI: in a virtual environment of the tests' own. Making it takes a minute, so it is
# kept for the next run, outside of the clone; another list of requirements makes another one. The tests start and end the servers.

need_moto() {
    local list=tests/machine/moto.txt cache=${XDG_CACHE_HOME:-$HOME/.cache}/outport started=$SECONDS folder lock
    folder=$cache/moto-$(sha256sum "$list" | cut -c1-12)
    mkdir -p "$cache"
    # One run at a time makes it.
    exec {lock}>"$cache/moto.lock"
    flock "$lock"
    if [ ! -e "$folder/complete" ]; then
        say "making a Python environment with moto in $folder (it stays)"
        rm -rf "$folder"
        # Debian's Python, and wheels alone: nothing is compiled or run while it is installed.
        { /usr/bin/python3 -m venv "$folder" &&
            timeout 900 "$folder/bin/pip" install --quiet --no-input --only-binary :all: -r "$list"; } </dev/null ||
            { say "moto could not be installed"; exit 1; }
        touch "$folder/complete"
        say "moto installed in $((SECONDS - started)) s"
    fi
    exec {lock}>&-
    export OUTPORT_TEST_MOTO=$folder/bin/moto_server
}
