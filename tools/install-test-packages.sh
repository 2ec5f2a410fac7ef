#!/bin/sh
# Installs the Debian packages that `make test` drives as real engines and real
# clients, where their commands are missing, and says which.
set -eu

missing=""
want() { # command package
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
want redis-server redis-server
want chromium chromium
want firefox-esr firefox-esr
want swaks swaks
perl -MNet::SSLeay -e 1 2>/dev/null || missing="$missing libnet-ssleay-perl" # swaks over TLS
want mbsync isync
want ldapsearch ldap-utils
want curl curl
want openssl openssl # a certificate for the browser tests over https
want ip iproute2 # with unshare: the browser tests run in a network of their own
want unshare util-linux

if [ -z "$missing" ]; then
	exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
	echo "the tests need these Debian packages:$missing" >&2
	exit 1
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "the tests need these Debian packages; install them as root: apt-get install$missing" >&2
		exit 1
	fi
	as_root="sudo"
fi
echo "installing for the tests:$missing"
$as_root apt-get update -q >/dev/null
# shellcheck disable=SC2086 # the list is words
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -q -y --no-install-recommends $missing >/dev/null
echo "installed:$missing"
