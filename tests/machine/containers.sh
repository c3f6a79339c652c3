# shellcheck shell=bash
# Real containers, without Docker and without a registry: podman with runc (crun does not start on mixed cgroups), a base image of
# Debian's packages, the image of the Dockerfile on it, and an engine of this run alone, which moto's Batch starts containers with.
# Whatever podman writes lies in the run's folder, but for empty groups in /sys/fs/cgroup.

# Why there are no containers here.
containers_problem=
podman_pid=
# Nothing pulls these: there is no registry at localhost.
base_image=localhost/outport-base:test
image=localhost/outport:test

base_limit_s=900
image_limit_s=300

# Without bridges (only the host's network is used) podman still wants the program that makes them.
missing_container_packages() {
    local missing=()
    command -v podman >/dev/null || missing+=(podman)
    command -v runc >/dev/null || missing+=(runc)
    command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
    [ -x /usr/lib/podman/netavark ] || missing+=(netavark)
    echo "${missing[@]}"
}

# podman_settings FOLDER: those that write_podman_settings wrote there, for what this shell starts from now on.
podman_settings() {
    # A TMPDIR of its own: the run's says that a process was left behind by a test.
    export CONTAINERS_CONF=$1/containers.conf CONTAINERS_STORAGE_CONF=$1/storage.conf TMPDIR=$1/tmp
}

# in_podman FOLDER COMMAND...: with these settings.
in_podman() {
    (podman_settings "$1" && shift && exec "$@")
}

# write_podman_settings FOLDER STORE [BASE_STORE]: an engine that keeps images in STORE, and also finds those of BASE_STORE.
write_podman_settings() {
    local folder=$1 store=$2 base=${3:-}
    mkdir -p "$folder/tmp"
    # The limits: raising one is refused without CAP_SYS_RESOURCE, and podman's own are high. The locks: those in memory are
    # shared with every other podman of this machine. No static_dir: the podman that cleans up after a container is told the
    # store alone and looks there; not finding the container, it lets `podman run` wait for 20 s.
    cat >"$folder/containers.conf" <<TEXT
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
tmp_dir = "$folder/engine"
[network]
network_backend = "netavark"
network_config_dir = "$folder/networks"
TEXT
    cat >"$folder/storage.conf" <<TEXT
[storage]
driver = "overlay"
graphroot = "$store"
runroot = "$folder/running"
[storage.options]
additionalimagestores = [${base:+\"$base\"}]
TEXT
}

# need_containers: makes the base image unless it is there, and tries whether a container starts. If not, containers_problem says
# why, and the tests of containers are skipped. A Dockerfile that does not build is a failure.
need_containers() {
    if bring_podman && make_base && starts_containers; then
        export OUTPORT_TEST_CONTAINERS=$run/containers OUTPORT_TEST_IMAGE=$image
    else
        say "no containers: $containers_problem"
        export OUTPORT_TEST_NO_CONTAINERS=$containers_problem
    fi
}

bring_podman() {
    local missing
    is_root || { containers_problem="needs root"; return 1; }
    [ "$(os_release ID)" = debian ] ||
        { containers_problem="the base image is made of Debian's packages, and this is no Debian"; return 1; }
    read -ra missing <<<"$(missing_container_packages)"
    [ ${#missing[@]} -gt 0 ] || return 0
    # In a subshell: without containers the other tests still run.
    (install_packages "${missing[@]}") || { containers_problem="apt could not install ${missing[*]}"; return 1; }
}

# os_release NAME: what /etc/os-release says.
os_release() { (. /etc/os-release && echo "${!1:-}") }

# make_base: sets base_store, a store of images outside of the clone with the base and the layers that the Dockerfile puts on it
# before the binary. It takes a minute or two, so it stays for the next run; another Dockerfile makes another one.
make_base() {
    local suite folder problem=$run/base.problem
    # The host's own, so that the binary that was built here finds its libc.
    suite=$(os_release VERSION_CODENAME)
    folder=${XDG_CACHE_HOME:-$HOME/.cache}/outport/image-$(
        { echo "$suite" && cat Dockerfile tests/machine/containers.sh; } | sha256sum | cut -c1-12
    )
    base_store=$folder/images
    [ ! -e "$folder/complete" ] || return 0
    say "making $folder with mmdebstrap and podman (once, a minute or two; it stays)"
    mkdir -p "${folder%/*}"
    : >"$problem"
    # Two runs must not make it at the same time.
    (
        ! command -v flock >/dev/null || flock 9
        [ ! -e "$folder/complete" ] || exit 0
        # One that was interrupted may still have something mounted.
        remove_folder "$folder"
        write_podman_settings "$run/base" "$base_store"
        bootstrap "$suite" "$run/base/base.tar" || { echo "mmdebstrap made no base image" >"$problem"; exit 1; }
        in_podman "$run/base" podman import --quiet "$run/base/base.tar" "$base_image" ||
            { echo "podman keeps no image" >"$problem"; exit 1; }
        rm "$run/base/base.tar"
        in_podman "$run/base" podman run --rm --network host "$base_image" true ||
            { echo "podman starts no container" >"$problem"; exit 1; }
        in_podman "$run/base" timeout --kill-after=20 "$base_limit_s" \
            podman build --network host --build-arg "BASE=$base_image" --target runtime . || exit 1
        touch "$folder/complete"
    ) 9>"$folder.lock" >"$run/base.log" 2>&1 </dev/null && return
    cat "$run/base.log"
    containers_problem=$(<"$problem")
    [ -n "$containers_problem" ] || { say "the image of the Dockerfile could not be built"; exit 1; }
    return 1
}

# bootstrap SUITE FILE: what debian:SUITE-slim is, as a tar file: packages of priority "required", without manuals.
bootstrap() {
    # Without the hook and usr-is-merged, bookworm takes usrmerge, and with it all of Perl. Nobody minds a lost file system
    # of this: no syncs.
    TMPDIR=$run/tmp timeout --kill-after=20 "$base_limit_s" \
        mmdebstrap --mode=root --variant=minbase \
        --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include=usr-is-merged \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        "$1" "$2"
}

starts_containers() {
    local said
    write_podman_settings "$run/containers" "$run/containers/images" "$base_store"
    said=$(in_podman "$run/containers" podman run --rm --network host "$base_image" true 2>&1 </dev/null) ||
        { containers_problem="podman starts no container: ${said##*$'\n'}"; return 1; }
}

# build_image: the Dockerfile on the base, with the binary that the tests use in the place of the build stage.
build_image() {
    local started=$SECONDS
    [ -n "${OUTPORT_TEST_CONTAINERS:-}" ] || return 0
    in_podman "$run/containers" timeout --kill-after=20 "$image_limit_s" podman build --network host \
        --build-arg "BASE=$base_image" --build-context "build=${CARGO_TARGET_DIR:-target}/debug" --tag "$image" . \
        >"$run/image.log" 2>&1 </dev/null ||
        { cat "$run/image.log"; say "the image of the Dockerfile could not be built"; exit 1; }
    say "built the image in $((SECONDS - started)) s"
}

# start_podman: the engine's API, for whoever thinks it is Docker's.
start_podman() {
    local tries socket=$run/containers/podman.sock
    [ -n "${OUTPORT_TEST_CONTAINERS:-}" ] || return 0
    # If this script is killed outright, the kernel ends it.
    (
        podman_settings "$run/containers"
        exec setpriv --pdeathsig TERM podman system service --time=0 "unix://$socket"
    ) >"$run/podman.log" 2>&1 </dev/null &
    podman_pid=$!
    for ((tries = 0; tries < 300; tries++)); do
        [ ! -S "$socket" ] || return 0
        kill -0 "$podman_pid" 2>/dev/null || break
        sleep 0.1
    done
    cat "$run/podman.log"
    say "podman's service could not be started"
    exit 1
}

# Prints the containers that tests left behind.
left_containers() {
    [ -n "${OUTPORT_TEST_CONTAINERS:-}" ] || return 0
    in_podman "$run/containers" podman ps --all --format '{{.Names}} {{.Status}}' </dev/null
}

stop_podman() {
    [ -n "$podman_pid" ] || return 0
    kill -TERM "$podman_pid" 2>/dev/null
    wait "$podman_pid" 2>/dev/null
    podman_pid=
}

# remove_containers FOLDER: ends and removes every container of the run that has this folder.
remove_containers() {
    local engine
    for engine in "$1/base" "$1/containers"; do
        if [ -e "$engine/storage.conf" ] && command -v podman >/dev/null; then
            in_podman "$engine" podman rm --all --force --time 0 >/dev/null 2>&1 </dev/null || true
        fi
    done
}
