# shellcheck shell=bash
# The one folder of a run, and how its leftovers are found: whatever is written elsewhere names this folder, and the
# folder names the process that owns it. So a run that was killed outright is cleaned up after by the next one.

run=

say() { printf '== %s\n' "$*"; }

is_root() { [ "$(id -u)" = 0 ]; }

# When process $1 was started (clock ticks after boot, proc(5) field 22); a number that is used again has another.
started_at() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
    # Fields 1 and 2 are "pid (name)", and the name may hold anything: count from behind the last bracket.
    cut -d' ' -f20 <<<"${stat##*) }"
}

make_run_folder() {
    run=$(mktemp -d "${TMPDIR:-/tmp}/outport-test-$$.XXXXXX")
    printf '%s %s\n' "$$" "$(started_at $$)" >"$run/owner"
    # The test user must pass through to the folders of its server, and has no business in the rest.
    chmod 711 "$run"
    mkdir -m 1777 "$run/tmp"
}

# Whether the run that owns folder $1 is still going on.
is_alive() {
    local pid start
    { read -r pid start <"$1/owner"; } 2>/dev/null && [ "$(started_at "$pid")" = "$start" ]
}

# The living processes that a run started: all inherit its TMPDIR; a session of sshd does not, but has its user.
strays() {
    local folder=$1 uid='' entry
    [ -z "${2:-}" ] || uid=$(id -u "$2" 2>/dev/null) || uid=
    for entry in /proc/[0-9]*; do
        if grep -qszxF "TMPDIR=$folder/tmp" "$entry/environ" 2>/dev/null; then
            echo "${entry#/proc/}"
        elif [ -n "$uid" ] && [ "$(stat -c %u "$entry" 2>/dev/null)" = "$uid" ] &&
            ! grep -qs '^State:.*Z' "$entry/status"; then
            echo "${entry#/proc/}"
        fi
    done
}

# Ends what is left of a run, by process id, and prints what it was.
end_strays() {
    local pid
    for pid in $(strays "$@"); do
        printf '%s %s\n' "$pid" "$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")"
        kill -KILL "$pid" 2>/dev/null || true
    done
}

# Unmounts what tests mounted inside folder $1, and removes it.
remove_folder() {
    local mounted
    [ -n "$1" ] && [ -d "$1" ] || return 0
    while read -r _ mounted _; do
        [[ $mounted != "$1"/* ]] || umount -l "$mounted" || true
    done </proc/self/mounts
    rm -rf --one-file-system "$1"
}

# Removes what runs that were killed outright left: folders, processes, users, files in /etc.
remove_leftovers() {
    local folder name home rest file
    while IFS=: read -r name _ _ _ folder home rest; do
        [[ $name == outport-test-* ]] && is_root && ! is_alive "$folder" || continue
        say "removing what a killed run left: user $name"
        end_strays "$folder" "$name"
        remove_user "$name"
    done < <(getent passwd 2>/dev/null || true)
    for file in "$services_policy" "$cluster_policy"; do
        [ -f "$file" ] && is_root || continue
        folder=$(sed -n 's/^# outport-test: //p' "$file")
        if [ -n "$folder" ] && ! is_alive "$folder"; then
            say "removing what a killed run left: $file"
            rm -f "$file"
        fi
    done
    for folder in "${TMPDIR:-/tmp}"/outport-test-*.*; do
        if [ -d "$folder" ] && [ -O "$folder" ] && ! is_alive "$folder"; then
            say "removing what a killed run left: $folder"
            end_strays "$folder"
            remove_containers "$folder"
            remove_folder "$folder"
        fi
    done
}
