//go:build !linux

package audit

import "net"

// unacknowledged cannot be told here: what the kernel took counts.
func unacknowledged(net.Conn) (int, error) { return 0, nil }
