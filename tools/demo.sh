#!/bin/sh
# demo.sh WHERRY: what `wherry sync` does, on real trees through a real sshd of its own. Each command is shown before it
# runs; after each step an independent oracle compares both trees to the last attribute. Leaves nothing behind.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
wherry=$1
python=/usr/bin/python3
start=$(date +%s)

# In memory where there is room, for a disk that is busy with something else would set the pace.
where=${TMPDIR:-/tmp}
[ "$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')" -gt 3000000 ] 2>/dev/null && where=/dev/shm
base=$(mktemp -d "$where/wherry-demo.XXXXXX")
sshd_pid=
cleanup() {
	[ -n "$sshd_pid" ] && kill "$sshd_pid" 2>/dev/null || true
	rm -rf "$base"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

say() {
	printf '\n\033[1m%s\033[0m\n' "$*"
}

# Show a command as one would type it, run it, tell how it ended.
run() {
	printf '$ %s\n' "$*" | sed "s|$base|~|g; s|$wherry|wherry|g"
	status=0
	"$@" || status=$?
	[ $status = 0 ] || printf '(exit status %s)\n' $status
	return $status
}

same() {
	printf 'oracle: '
	"$python" "$here/tests/e2e/oracle.py" "$base/src" "$base/dst"
}

start_sshd() {
	ssh-keygen -q -t ed25519 -N '' -f "$base/host_key"
	ssh-keygen -q -t ed25519 -N '' -f "$base/user_key"
	cp "$base/user_key.pub" "$base/authorized_keys"
	[ "$(id -u)" = 0 ] && mkdir -p /run/sshd
	port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	cat >"$base/sshd_config" <<-EOF
	ListenAddress 127.0.0.1
	Port $port
	HostKey $base/host_key
	AuthorizedKeysFile $base/authorized_keys
	PidFile none
	StrictModes no
	UsePAM no
	PasswordAuthentication no
	PermitRootLogin yes
	LogLevel ERROR
	SetEnv "PATH=$(dirname "$wherry"):/usr/bin:/bin" "XDG_STATE_HOME=$base/remote-state"
	EOF
	/usr/sbin/sshd -D -e -f "$base/sshd_config" 2>"$base/sshd.log" &
	sshd_pid=$!
	cat >"$base/ssh_config" <<-EOF
	Host far
	HostName 127.0.0.1
	Port $port
	IdentityFile $base/user_key
	IdentitiesOnly yes
	BatchMode yes
	LogLevel ERROR
	StrictHostKeyChecking no
	UserKnownHostsFile /dev/null
	EOF
	export WHERRY_RSH="ssh -F $base/ssh_config"
	export XDG_STATE_HOME="$base/state"
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		ssh -F "$base/ssh_config" far true 2>/dev/null && return 0
		sleep 0.1
	done
	cat "$base/sshd.log" >&2
	return 1
}

# Two real trees (programs' own files of this machine) and one of everything that a file system can hold.
make_trees() {
	mkdir "$base/src" "$base/dst"
	cp -a /usr/share/doc "$base/src/doc"
	cp -a /usr/include "$base/src/include"
	"$python" - "$here" "$base/src/everything" <<-'EOF'
	import sys
	sys.path.insert(0, sys.argv[1] + "/tests/e2e")
	sys.dont_write_bytecode = True
	try:
	    import trees
	except ImportError:  # without hypothesis: just some links and holes
	    import os
	    os.makedirs(sys.argv[2])
	    open(sys.argv[2] + "/hole", "wb").truncate(10**7)
	    os.symlink("hole", sys.argv[2] + "/link")
	else:
	    trees.build(sys.argv[2], trees.sample())
	EOF
	head -c 60000000 /dev/urandom >"$base/src/big"
	printf '%s files, %s\n' "$(find "$base/src" -type f | wc -l)" "$(du -sh "$base/src" | cut -f1)"
}

start_sshd
say "Two trees: /usr/share/doc and /usr/include, one of every kind of entry, one big file"
make_trees

say "1. First copy, over ssh"
run "$wherry" sync "$base/src/" "far:$base/dst"
same

say "2. Again: nothing has changed"
run "$wherry" sync --stats "$base/src/" "far:$base/dst"
same

say "3. A small change: one file edited, one attribute, 100 bytes in the middle of the big file"
find "$base/src/doc" -type f -size +4k | sort | head -1 | while read -r f; do echo "one more line" >>"$f"; done
chmod 640 "$base/src/include/stdio.h"
head -c 100 /dev/zero | dd of="$base/src/big" bs=1 seek=30000000 conv=notrunc status=none
run "$wherry" sync -i "$base/src/" "far:$base/dst"
same

say "4. A directory renamed: the far side renames it too"
mv "$base/src/include" "$base/src/headers"
run "$wherry" sync --delete "$base/src/" "far:$base/dst"
same

say "5. Something deleted: first what would happen, then for real"
rm -rf "$base/src/everything/odd"
run "$wherry" sync --delete --dry-run -i "$base/src/" "far:$base/dst" | tail -5
run "$wherry" sync --delete "$base/src/" "far:$base/dst"
same

say "6. A run that is killed half-way, and the one after it"
head -c 60000000 /dev/urandom >"$base/src/second"
printf '$ wherry sync --bwlimit=20M ~/src/ far:~/dst   (kill -9 after 2 seconds)\n'
"$wherry" sync -q --bwlimit=20M "$base/src/" "far:$base/dst" &
victim=$!
sleep 2
kill -9 $victim 2>/dev/null || true
wait $victim 2>/dev/null || true
sleep 0.5
ls -la "$base/dst" | grep -c '\.wherry\.' | sed 's/^/partial files waiting at the far side: /' || true
run "$wherry" sync --stats "$base/src/" "far:$base/dst"
same

say "7. And back home, into a new place"
run "$wherry" sync "far:$base/dst/" "$base/home"
printf 'oracle: '
"$python" "$here/tests/e2e/oracle.py" "$base/src" "$base/home"

say "Done in $(($(date +%s) - start)) seconds; every step compared equal."
