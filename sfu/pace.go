package sfu

import (
	"sync"
	"time"
)

// A participant's data goes to everybody, and who cannot keep up is put out:
// so much at once, and so much a second, that a slow line of 4 Mb/s can.
const (
	dataAtOnce  = 2 << 20 // bytes
	dataASecond = 512 << 10
	// dataPacket is what each packet counts beyond its bytes: to send even an
	// empty one to everybody is work.
	dataPacket = 1 << 10
	// Who says no more than this is modest. Files are more.
	modestAtOnce  = 128 << 10
	modestASecond = 32 << 10
)

// pace is how much data a participant has sent of late.
type pace struct {
	mu   sync.Mutex
	debt float64   // guarded by mu; bytes sent and not yet forgotten
	last time.Time // guarded by mu
}

// take counts n bytes and returns how long to wait before they go on. With
// drop, bytes that would have to wait are not counted: they do not go on.
func (p *pace) take(n int, now time.Time, drop bool) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if since := now.Sub(p.last); since > 0 {
		p.debt = max(0, p.debt-since.Seconds()*dataASecond)
	}
	p.last = now
	over := p.debt + float64(n) - dataAtOnce
	if over > 0 && drop {
		return time.Duration(over / dataASecond * float64(time.Second))
	}
	p.debt += float64(n)
	return time.Duration(max(0, over) / dataASecond * float64(time.Second))
}

// modest tells whether a participant that says n bytes more has said little of
// late.
func (b *publisher) modest(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said.take(float64(n+dataPacket), time.Now())
}

// paced waits until a data packet may go on; it reports false when it may not.
// Reliable packets hold up the channel they came by, which makes SCTP slow
// their sender down (RFC 9260, 6.2).
func (b *publisher) paced(kind DataKind, n int) bool {
	wait := b.pace.take(n+dataPacket, time.Now(), kind == Lossy)
	if wait <= 0 {
		return true
	}
	if kind == Lossy {
		b.p.room.sfu.metrics.dataDropped.Inc()
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-b.stop:
		return false
	}
}
