# shellcheck shell=bash
# Python packages that tests use: each list of them in a virtual environment of its own, outside of the clone. Making one takes a
# minute or two, so it stays for the next run; another list, or another Python, makes another one.

python_folder=
python_problem=

# A Python that can make virtual environments and is as new as the pinned packages want. Debian's first: one of another
# place in PATH has other modules.
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

# make_python NAME REQUIREMENTS: sets python_folder, and makes it unless it is there. If it cannot be made,
# python_problem says why.
make_python() {
    local name=$1 requirements=$2 python
    python=$(venv_python) || { python_problem="no Python of 3.11 or newer with venv (Debian: python3-venv)"; return 1; }
    python_folder=${XDG_CACHE_HOME:-$HOME/.cache}/outport/$name-$(
        { "$python" -VV && cat "$requirements"; } | sha256sum | cut -c1-12
    )
    [ ! -e "$python_folder/complete" ] || return 0
    say "making $python_folder with pip (once, a minute or two; it stays)"
    mkdir -p "${python_folder%/*}"
    # Two runs must not make it at the same time.
    (
        ! command -v flock >/dev/null || flock 9
        [ ! -e "$python_folder/complete" ] || exit 0
        rm -rf "$python_folder"
        "$python" -m venv "$python_folder" &&
            timeout 900 "$python_folder/bin/pip" install --quiet --disable-pip-version-check --no-input \
                --requirement "$requirements" </dev/null &&
            touch "$python_folder/complete"
    ) 9>"$python_folder.lock" 2>&1 ||
        { python_problem="pip could not bring what $requirements lists"; return 1; }
}
