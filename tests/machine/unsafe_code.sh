# shellcheck shell=bash
# The unsafe code of the workspace, transformers/src/json_csv/fast/lanes, and all that goes through it: under valgrind, and as
# AArch64 code (NEON) under qemu. Miri and the sanitizers need a nightly compiler, which a machine need not have.

valgrind_limit_s=1800
neon_limit_s=1800
# What goes through the lanes again and again: every cut, every thread, generated and damaged records.
unsafe_tests=(fast:: cuts:: differential:: fuzz:: special:: threads:: wrapped::)

# shellcheck disable=SC2154 # run is of run_folder.sh
# test_unsafe_code SET LOG FILTER...: adds what the tests say to LOG. In the long set, or with a filter that begins with `unsafe`.
test_unsafe_code() {
    local set=$1 log=$2 filter wanted=no status=0
    shift 2
    [ "$set" != full ] || [ $# -gt 0 ] || wanted=yes
    for filter in "$@"; do
        [[ $filter != unsafe* ]] || wanted=yes
    done
    [ "$wanted" = yes ] || return 0
    under_valgrind "$log" || status=1
    on_neon "$log" || status=1
    return "$status"
}

# and_log NAME LOG LIMIT COMMAND...: runs it; what it prints is seen, and added to LOG.
and_log() {
    local name=$1 log=$2 status=0
    shift 2
    TMPDIR=$run/tmp in_background "$@" >"$run/unsafe.log" 2>&1
    wait "$cargo_pid" || status=$?
    cargo_pid=
    cat "$run/unsafe.log"
    cat "$run/unsafe.log" >>"$log"
    # A program that was ended has no result line.
    [ "$status" = 0 ] || grep -q '^test result: FAILED' "$run/unsafe.log" ||
        printf 'test %s ... FAILED\ntest result: FAILED. 0 passed; 1 failed\n' "$name" >>"$log"
    return "$status"
}

# skipped_unsafe NAME LOG REASON: as a skipped test of Rust: one that passed, and is in the list.
skipped_unsafe() {
    printf 'SKIP %s: %s\n' "$1" "$3"
    printf '%s: %s\n' "$1" "$3" >>"$OUTPORT_TEST_SKIPS"
    printf 'test result: ok. 1 passed; 0 failed\n' >>"$2"
}

# The test programs of the crate, as cargo names them.
transformers_tests() {
    cargo test --workspace --no-run 2>&1 </dev/null |
        sed -n 's/^ *Executable .*(\(.*\/\(outport_transform\|conformance\)-[0-9a-f]*\))$/\1/p'
}

under_valgrind() {
    local program programs status=0
    command -v valgrind >/dev/null || { ! is_root || ! command -v apt-get >/dev/null; } ||
        (install_packages valgrind) || true
    command -v valgrind >/dev/null || { skipped_unsafe unsafe::valgrind "$1" "valgrind is missing"; return 0; }
    say "the scanner under valgrind"
    # Fewer generated cases: each takes some fifty times as long.
    export PROPTEST_CASES=16
    programs=$(transformers_tests)
    if [ -z "$programs" ]; then
        say "cargo named no test programs of the crate"
        printf 'test unsafe::valgrind ... FAILED\ntest result: FAILED. 0 passed; 1 failed\n' >>"$1"
        status=1
    fi
    for program in $programs; do
        and_log unsafe::valgrind "$1" "$valgrind_limit_s" valgrind --quiet --leak-check=no --error-exitcode=99 \
            "$program" "${unsafe_tests[@]}" || status=1
    done
    unset PROPTEST_CASES
    return "$status"
}

# Sets aarch64, a folder with a Rust for AArch64, a linker and an emulator, all of them Debian's packages, none of them installed.
# It takes a minute, so it stays; otherwise aarch64_problem says why not.
need_aarch64() {
    local suite
    suite=$(os_release VERSION_CODENAME)
    aarch64_problem="Debian's packages for AArch64 are taken apart by root with mmdebstrap"
    [ "$(uname -m)" = x86_64 ] && [ "$(os_release ID)" = debian ] && is_root || return 1
    command -v mmdebstrap >/dev/null || (install_packages mmdebstrap) || return 1
    aarch64=${XDG_CACHE_HOME:-$HOME/.cache}/outport/aarch64-$suite
    [ ! -e "$aarch64/complete" ] || return 0
    say "making $aarch64 with mmdebstrap (once, a minute or two, 1.5 GB; it stays)"
    mkdir -p "${aarch64%/*}"
    # Two runs must not make it at the same time.
    (
        ! command -v flock >/dev/null || flock 9
        [ ! -e "$aarch64/complete" ] || exit 0
        remove_folder "$aarch64"
        mkdir "$aarch64"
        # rustc-web: the Rust that Debian keeps new enough for its browsers.
        mmdebstrap --mode=root --variant=extract --include=rustc-web,qemu-user,gcc-aarch64-linux-gnu \
            "$suite" "$aarch64/host" &&
            mmdebstrap --mode=root --variant=extract --arch=arm64 \
                --include=libstd-rust-web-dev,libc6-dev "$suite" "$aarch64/target" &&
            touch "$aarch64/complete"
    ) 9>"$aarch64.lock" >"$run/aarch64.log" 2>&1 </dev/null && return
    cat "$run/aarch64.log"
    aarch64_problem="mmdebstrap could not bring rustc-web, qemu-user and a cross compiler"
    return 1
}

on_neon() {
    local host target rust wanted
    need_aarch64 || { skipped_unsafe unsafe::neon "$1" "$aarch64_problem"; return 0; }
    host=$aarch64/host/usr target=$aarch64/target
    rust=$(LD_LIBRARY_PATH=$host/lib/x86_64-linux-gnu:$host/lib "$host/bin/rustc" --version | cut -d' ' -f2)
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    if [ "$(printf '%s\n' "$wanted" "$rust" | sort -V | head -n 1)" != "$wanted" ]; then
        skipped_unsafe unsafe::neon "$1" "Debian's rustc-web is $rust, and the workspace wants $wanted"
        return 0
    fi
    say "the scanner on AArch64, under qemu (Rust $rust)"
    and_log unsafe::neon "$1" "$neon_limit_s" env \
        RUSTC="$host/bin/rustc" LD_LIBRARY_PATH="$host/lib/x86_64-linux-gnu:$host/lib" PATH="$PATH:$host/bin" \
        CARGO_TARGET_DIR="$aarch64/build" \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER="$host/bin/aarch64-linux-gnu-gcc" \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="--sysroot $target/usr -C link-arg=--sysroot=$target" \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$host/bin/qemu-aarch64 -L $target" \
        CC_aarch64_unknown_linux_gnu="$host/bin/aarch64-linux-gnu-gcc" \
        CFLAGS_aarch64_unknown_linux_gnu="--sysroot=$target" \
        AR_aarch64_unknown_linux_gnu="$host/bin/aarch64-linux-gnu-gcc-ar" \
        cargo test --locked --target aarch64-unknown-linux-gnu -p outport-transform --lib --test conformance
}
