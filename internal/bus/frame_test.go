package bus

import (
	"bytes"
	"testing"
)

// FuzzDecodeFrame: anyone who can reach Redis may publish anything.
func FuzzDecodeFrame(f *testing.F) {
	f.Add(encodeFrame(busID{1}, frameEvent, []byte("payload")))
	f.Add(encodeFrame(busID{2}, frameGap, nil))
	f.Add([]byte{})
	f.Add([]byte{frameVersion})
	f.Fuzz(func(t *testing.T, frame []byte) {
		id, kind, payload, ok := decodeFrame(frame)
		if ok && !bytes.Equal(encodeFrame(id, kind, payload), frame) {
			t.Errorf("%x does not survive decoding and encoding", frame)
		}
	})
}
