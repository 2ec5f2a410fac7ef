package audit

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unacknowledged tells how many bytes of conn the other side has not
// acknowledged.
func unacknowledged(conn net.Conn) (int, error) {
	sys, ok := conn.(syscall.Conn)
	if !ok {
		return 0, nil
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return 0, err
	}
	n := 0
	var ioctlErr error
	if err := raw.Control(func(fd uintptr) { n, ioctlErr = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil { //nolint:gosec // a file descriptor fits
		return 0, err
	}
	return n, ioctlErr
}
