package imapd

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// dripping is a connection, and a literal on it that comes in pieces a minute
// apart.
type dripping struct {
	net.Conn
	left     int
	deadline time.Time
}

func (d *dripping) SetReadDeadline(t time.Time) error { d.deadline = t; return nil }

func (d *dripping) Read(b []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	d.left--
	<-time.After(time.Minute)
	if time.Now().After(d.deadline) {
		return 0, io.ErrUnexpectedEOF
	}
	return copy(b, "x"), nil
}

// A slow client takes an hour for its message; the store does not, for a step.
func TestPatientWithTheClientAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dripping{left: 60}
		p := newPatient(t.Context(), d, d, 2*time.Minute)
		defer p.stop()
		if text, err := io.ReadAll(p); err != nil || len(text) != 60 || p.failed != nil {
			t.Fatalf("read %d bytes: %v, %v", len(text), err, p.failed)
		}
		if err := p.ctx.Err(); err != nil {
			t.Fatalf("the time for the work ended while the client was waited for: %v", err)
		}
		read := time.Now()
		<-p.ctx.Done()
		if took := time.Since(read); took != opTimeout {
			t.Errorf("what is done with the message may take %v", took)
		}
	})
}

// A client that pauses for longer fails, whatever time the whole has.
func TestPatientOnlySoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dripping{left: 60}
		p := newPatient(t.Context(), d, d, 30*time.Second)
		defer p.stop()
		if _, err := io.ReadAll(p); err == nil || p.failed == nil {
			t.Fatalf("read it all: %v, %v", err, p.failed)
		}
	})
}
