package sfu

import (
	"math"
	"time"
)

// What one participant's client may cost the others of its room, however it
// has been changed. All are far above what a client does of its own accord, so
// none is configuration.
const (
	// maxLayers bounds the streams of one track, of which three are usual; a
	// further one may begin before the one that it replaces has ended.
	maxLayers = 4
	// All sound of a participant, in bytes with soundPacket for each packet: Opus
	// takes 510 kb/s at most (RFC 6716, 2.1.1), in RED twice that, and people
	// have a microphone and a screen's sound. Video is held back by what each
	// subscriber can take; sound is not.
	soundASecond = 320 << 10
	soundAtOnce  = 320 << 10
	soundPacket  = 100
	// reportPause is the least time between two sender reports of a stream that
	// are handed on: clients send one or two a second.
	reportPause = 20 * time.Millisecond
	// Changes of who may receive one's tracks: each may add and remove a section
	// of everybody's connection.
	accessAtOnce  = 20
	accessASecond = 2
	// Tracks that begin: each is a section of everybody's connection.
	arrivalsAtOnce  = 2 * maxTracks
	arrivalsASecond = 1
	// Bytes that are told of a participant to each of the others: a muted
	// microphone repeats all that is said of its owner.
	tellAtOnce  = 128 << 10
	tellASecond = 32 << 10
	tellPause   = 50 * time.Millisecond // at least, until what had to wait is tried again
)

// bucket counts what somebody takes of a share that comes back with time. Its
// zero value is full.
type bucket struct {
	most, perSecond float64 // set at construction

	taken float64
	at    time.Time
}

// take takes n and reports true, or takes nothing when that is more than there
// is. What is more than the bucket holds is taken from a full one.
func (b *bucket) take(n float64, now time.Time) bool {
	if since := now.Sub(b.at); since > 0 {
		b.taken = max(0, b.taken-since.Seconds()*b.perSecond)
		b.at = now
	}
	if b.taken > 0 && b.taken+n > b.most {
		return false
	}
	b.taken += n
	return true
}

// wait is how long until take takes n.
func (b *bucket) wait(n float64) time.Duration {
	over := math.Min(b.taken, b.taken+n-b.most)
	return time.Duration(max(0, over) / b.perSecond * float64(time.Second))
}
