package doctor

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	clockOff    = time.Second      // a warning
	clockBroken = 10 * time.Second // nodes rely on less than that
)

// checkClock compares the clock with the database's and asks the kernel whether
// it is kept right.
func (d *Doctor) checkClock(context.Context) {
	const check = "clock"
	if _, err := time.LoadLocation("Asia/Ho_Chi_Minh"); err != nil {
		d.fail("time zones", "Asia/Ho_Chi_Minh is not known", "install a build of commsd with its own time zones")
	}
	if c := d.report.Clock; !c.IsZero() {
		off := d.now().Sub(c).Abs().Round(time.Millisecond)
		cure := "have both machines follow the same time servers (chrony or systemd-timesyncd)"
		switch {
		case off > clockBroken:
			d.fail(check, fmt.Sprintf("it differs from the database's by %v", off), cure)
			return
		case off > clockOff:
			d.warn(check, fmt.Sprintf("it differs from the database's by %v", off), cure)
			return
		}
	}
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	switch {
	case err != nil:
		d.skip(check, "the kernel does not tell whether it is synchronised")
	case state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0:
		d.warn(check, "the kernel does not know it as synchronised", "run chrony or systemd-timesyncd against the network's time servers: one-time codes and audit times depend on it")
	default:
		d.ok(check, "synchronised, %s UTC", d.now().UTC().Format(time.DateTime))
	}
}

const fewDescriptors = 16384

// checkDescriptors looks at how many connections the process may hold.
func (d *Doctor) checkDescriptors(context.Context) {
	const check = "file descriptors"
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		d.skip(check, "the limit cannot be read")
		return
	}
	if files.Max < fewDescriptors {
		d.warn(check, fmt.Sprintf("at most %d; each connection needs one", files.Max), "LimitNOFILE=524288 in the systemd unit, or ulimit -n")
		return
	}
	d.ok(check, "up to %d", files.Max)
}
