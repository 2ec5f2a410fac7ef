package bus

import (
	"bytes"
	"crypto/rand"
)

// What travels through Redis: a version, the id of the bus that published it,
// a kind, the payload. A bus drops its own, which it has delivered directly.
const (
	frameVersion = 1
	idSize       = 16
	frameHead    = 1 + idSize + 1
)

// Kinds of frames.
const (
	frameEvent byte = 'e'
	frameGap   byte = 'g' // on the control channel: the sender has lost events
)

type busID [idSize]byte

func newBusID() (id busID, err error) {
	_, err = rand.Read(id[:])
	return id, err
}

func encodeFrame(id busID, kind byte, payload []byte) []byte {
	frame := make([]byte, 0, frameHead+len(payload))
	frame = append(frame, frameVersion)
	frame = append(frame, id[:]...)
	frame = append(frame, kind)
	return append(frame, payload...)
}

// decodeFrame takes a frame apart. It answers false for bytes that no bus of
// this version has sent.
func decodeFrame(frame []byte) (id busID, kind byte, payload []byte, ok bool) {
	if len(frame) < frameHead || frame[0] != frameVersion || len(frame)-frameHead > MaxPayload {
		return id, 0, nil, false
	}
	copy(id[:], frame[1:])
	kind = frame[frameHead-1]
	if kind != frameEvent && kind != frameGap {
		return id, 0, nil, false
	}
	return id, kind, bytes.Clone(frame[frameHead:]), true
}
