#!/bin/sh
# Runs a command in a network of its own: loopback, and one interface that leads
# nowhere, with an address kept for documentation (RFC 5737). What the command
# starts, servers and browsers, finds an ordinary address of "this machine" and
# reaches nobody outside.
#
#   tools/alone.sh npm run something
#
# Needs unshare (util-linux), ip (iproute2) and root, or a kernel that lets
# anyone make user namespaces.
set -eu

address=198.51.100.10/24

if [ "${1:-}" = --inside ]; then
	hosts=$2 # over /etc/hosts; empty: that stays
	shift 2
	if [ -n "$hosts" ]; then
		mount --bind "$hosts" /etc/hosts
		rm "$hosts" # it lives on in its place
	fi
	ip link set lo up
	# A pair joined to each other: every kernel that runs containers has this kind.
	ip link add alone0 type veth peer name alone1
	# No address that comes by itself a second later: browsers drop what they are
	# loading when the network changes.
	ip link set alone0 addrgenmode none
	ip link set alone1 addrgenmode none
	ip address add "$address" dev alone0
	ip link set alone0 up
	ip link set alone1 up
	# Firefox asks which address the way out has; out there nobody answers.
	ip route add default dev alone0
	exec "$@"
fi
if [ $# -eq 0 ]; then
	echo "usage: $0 COMMAND [ARGUMENT...]" >&2
	exit 2
fi
for tool in unshare ip; do
	if ! command -v $tool >/dev/null 2>&1; then
		echo "$0: $tool is missing; tools/install-test-packages.sh installs it" >&2
		exit 1
	fi
done
own="--net"
if [ "$(id -u)" -ne 0 ]; then
	own="--net --map-root-user" # root of the new network alone
fi
# Where localhost has no IPv6 address, whoever asks for one asks a name server, and
# waits six seconds for one that cannot be reached. So it gets one, in here alone.
hosts=""
# shellcheck disable=SC2086 # the options are words
if ! grep -qE '^::1[[:space:]](.*[[:space:]])?localhost([[:space:]]|$)' /etc/hosts &&
	unshare $own --mount mount --bind /etc/hosts /etc/hosts 2>/dev/null; then
	own="$own --mount"
	hosts=$(mktemp)
	chmod 644 "$hosts"
	cat /etc/hosts >"$hosts"
	echo "::1 localhost" >>"$hosts"
elif ! unshare $own true; then
	echo "$0: the kernel gives this user no network of its own; run as root, or allow it: sysctl kernel.unprivileged_userns_clone=1" >&2
	exit 1
fi
# shellcheck disable=SC2086
exec unshare $own -- "$0" --inside "$hosts" "$@"
