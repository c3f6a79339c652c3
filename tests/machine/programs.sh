# shellcheck shell=bash
# The programs that the tests run beside Outport: found, or installed where that is ours to do (root, apt).

# While packages are installed, these two keep Debian from starting anything. Debian Policy 9.11.3: an exit of 101
# from policy-rc.d forbids it; postgresql-common reads createcluster.d before it makes its first cluster.
services_policy=/usr/sbin/policy-rc.d
cluster_policy=/etc/postgresql-common/createcluster.d/outport-test.conf
made_policy_folder=

# The folder of the newest PostgreSQL server's programs; Debian keeps them out of PATH.
postgres_programs() {
    local found
    found=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
    [ -x "$found" ] || found=$(readlink -f "$(command -v initdb || true)")
    [ -x "$found" ] && dirname "$found"
}

# Prints the packages whose programs are missing.
missing_packages() {
    local missing=()
    [ -x /usr/sbin/sshd ] || missing+=(openssh-server)
    command -v ssh-keygen >/dev/null && command -v ssh-keyscan >/dev/null && command -v sftp >/dev/null ||
        missing+=(openssh-client)
    postgres_programs >/dev/null || missing+=(postgresql)
    [ -x /usr/sbin/proftpd ] || missing+=(proftpd-core)
    [ -e /usr/lib/proftpd/mod_sftp.so ] || missing+=(proftpd-mod-crypto)
    # Debian's Python: one of another place in PATH has other modules.
    /usr/bin/python3 -c 'import paramiko' 2>/dev/null || missing+=(python3-paramiko)
    # Debian keeps what a virtual environment begins with in a package of its own.
    venv_python >/dev/null || missing+=(python3-venv)
    command -v setpriv >/dev/null || missing+=(util-linux)
    ! is_root || { command -v useradd && command -v chpasswd; } >/dev/null || missing+=(passwd)
    echo "${missing[@]}"
}

need_programs() {
    local missing
    read -ra missing <<<"$(missing_packages)"
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! is_root || ! command -v apt-get >/dev/null; then
        say "missing: ${missing[*]}"
        say "install them:  sudo apt-get install ${missing[*]}"
        say "or run what needs none of them:  tests/run --embedded"
        exit 1
    fi
    install_packages "${missing[@]}"
    read -ra missing <<<"$(missing_packages)"
    [ ${#missing[@]} -eq 0 ] || { say "still missing after the installation: ${missing[*]}"; exit 1; }
}

install_packages() {
    say "installing with apt: $* (they stay; none of their services is started)"
    forbid_services
    # Only when the list of packages is missing or old: an update costs more than the installation.
    apt_install "$@" || { apt-get update -qq && apt_install "$@"; } ||
        { say "apt could not install: $*"; exit 1; }
    allow_services
    [[ " $* " != *' openssh-server '* ]] || not_at_boot ssh.service ssh.socket
    [[ " $* " != *' proftpd-core '* ]] || not_at_boot proftpd.service
    [[ " $* " != *' podman '* ]] ||
        not_at_boot podman.socket podman.service podman-restart.service podman-auto-update.timer podman-auto-update.service
}

# not_at_boot UNIT...: a package that was installed for the tests alone serves nobody later either.
not_at_boot() {
    command -v systemctl >/dev/null || return 0
    say "keeping $* from starting at the next boot (systemctl disable)"
    systemctl --quiet disable "$@" 2>/dev/null || true
}

apt_install() {
    # --no-remove: ProFTPD conflicts with other FTP servers, and one that somebody uses must not go for it.
    DEBIAN_FRONTEND=noninteractive timeout 900 \
        apt-get install -qq -y --no-install-recommends --no-remove -o Dpkg::Use-Pty=0 "$@" </dev/null
}

forbid_services() {
    local answer=0
    if [ -e "$services_policy" ]; then
        "$services_policy" ssh start >/dev/null 2>&1 || answer=$?
        [ "$answer" = 101 ] || {
            say "$services_policy is there and lets services start: install these by hand, please"
            exit 1
        }
    else
        say "writing $services_policy (until they are installed)"
        printf '#!/bin/sh\n# outport-test: %s\nexit 101\n' "$run" >"$services_policy"
        chmod 755 "$services_policy"
    fi
    say "writing $cluster_policy (until they are installed)"
    [ -d "${cluster_policy%/*}" ] || { mkdir -p "${cluster_policy%/*}"; made_policy_folder=yes; }
    printf '# outport-test: %s\ncreate_main_cluster = false\n' "$run" >"$cluster_policy"
}

# Takes back what forbid_services of this run wrote; nothing if it wrote nothing.
allow_services() {
    local file
    for file in "$services_policy" "$cluster_policy"; do
        ! grep -qsxF "# outport-test: $run" "$file" || rm -f "$file"
    done
    [ -z "$made_policy_folder" ] || rmdir "${cluster_policy%/*}" 2>/dev/null || true
}
