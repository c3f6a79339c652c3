# shellcheck shell=bash
# The user that SFTP tests log in as, and that PostgreSQL runs as: both refuse to do their work for root.

test_user=

make_user() {
    export OUTPORT_TEST_SSH_USER
    if ! is_root; then
        OUTPORT_TEST_SSH_USER=$(id -un)
        say "not root: SFTP tests log in as $OUTPORT_TEST_SSH_USER, by key only; tests of passwords and full disks are skipped"
        return
    fi
    local name=outport-test-$$
    # A chroot of sshd must belong to root up to /, which nothing below /tmp does.
    export OUTPORT_TEST_SSH_HOME=/var/lib/$name OUTPORT_TEST_SSH_PASSWORD
    say "adding the user $name and $OUTPORT_TEST_SSH_HOME (until the end of this run)"
    # The comment names the run's folder: that is how a killed run's user is recognised.
    useradd --comment "$run" --home-dir "$OUTPORT_TEST_SSH_HOME" --no-create-home --shell /bin/sh \
        --no-log-init --user-group "$name"
    test_user=$name OUTPORT_TEST_SSH_USER=$name
    mkdir -m 755 "$OUTPORT_TEST_SSH_HOME"
    OUTPORT_TEST_SSH_PASSWORD=$(random_word)
    chpasswd <<<"$name:$OUTPORT_TEST_SSH_PASSWORD"
    # sshd does not start without this folder, and only Debian's start script makes it.
    [ -d /run/sshd ] || { say "making the empty folder /run/sshd for sshd (it stays)"; mkdir -m 755 /run/sshd; }
}

# 24 random bytes as hex.
random_word() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# Removes user $1 with its folder; nothing if there is none.
remove_user() {
    [[ ${1:-} == outport-test-* ]] || return 0
    # --force: also while a session of it is still going down.
    userdel --force "$1" 2>/dev/null || true
    rm -rf --one-file-system "/var/lib/$1"
}
