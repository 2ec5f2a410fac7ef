package signaling

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"testing"

	"google.golang.org/protobuf/proto"

	lk "commsd/internal/lkproto"
	"commsd/internal/wsconn"
)

// FuzzJoinRequest unpacks what stands in the address of version 1, from inside:
// over sockets it would be a meeting each.
func FuzzJoinRequest(f *testing.F) {
	whole, err := proto.Marshal(&lk.JoinRequest{
		ClientInfo: &lk.ClientInfo{Browser: "Firefox"}, ConnectionSettings: &lk.ConnectionSettings{AutoSubscribe: true},
		Metadata: "m", ParticipantAttributes: map[string]string{"a": "b"}, AddTrackRequests: []*lk.AddTrackRequest{{Cid: "mic"}, {}},
		PublisherOffer: &lk.SessionDescription{Type: "offer", Sdp: "v=0", Id: 1}, Reconnect: true, ParticipantSid: "PA_x",
		SyncState: &lk.SyncState{TrackSidsDisabled: []string{"TR_x"}},
	})
	if err != nil {
		f.Fatal(err)
	}
	zip := func(data []byte) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		if _, err := z.Write(data); err != nil {
			f.Fatal(err)
		}
		if err := z.Close(); err != nil {
			f.Fatal(err)
		}
		return out.Bytes()
	}
	add := func(how lk.WrappedJoinRequest_Compression, data []byte) {
		b, err := proto.Marshal(&lk.WrappedJoinRequest{Compression: how, JoinRequest: data})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	add(lk.WrappedJoinRequest_NONE, whole)
	add(lk.WrappedJoinRequest_GZIP, zip(whole))
	add(lk.WrappedJoinRequest_GZIP, zip(whole)[:40])
	add(lk.WrappedJoinRequest_GZIP, zip(make([]byte, maxJoinRequest+1)))
	add(lk.WrappedJoinRequest_GZIP, append(zip(whole), zip(whole)...)) // one after the other (RFC 1952, 2.2)
	add(lk.WrappedJoinRequest_GZIP, zip(bytes.Repeat(emptyTracks(f, 1), maxFields+1)))
	add(7, whole)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := unpackJoinRequest(base64.URLEncoding.EncodeToString(data))
		if err != nil {
			return
		}
		if n := proto.Size(r); n > maxJoinRequest+16 {
			t.Errorf("%d bytes are unpacked", n)
		}
		opt := joinOptions(r)
		if len(opt.first) > maxFields {
			t.Errorf("%d things to be done at once", len(opt.first))
		}
	})
}

// emptyTracks is the inside of a join request that announces n tracks without
// saying anything of them.
func emptyTracks(t testing.TB, n int) []byte {
	t.Helper()
	b, err := proto.Marshal(&lk.JoinRequest{AddTrackRequests: make([]*lk.AddTrackRequest, n)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What is small on the wire and large in memory is not read.
func TestMessagesOfManyParts(t *testing.T) {
	binary := func(m *lk.SignalRequest) wsconn.Message {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return wsconn.Message{Binary: true, Data: b}
	}
	tracks := func(n int) *lk.SignalRequest {
		return &lk.SignalRequest{Message: &lk.SignalRequest_SyncState{SyncState: &lk.SyncState{PublishTracks: make([]*lk.TrackPublishedResponse, n)}}}
	}
	text := func(n int) wsconn.Message {
		return wsconn.Message{Data: append(append([]byte(`{"syncState":{"publishTracks":[{}`), bytes.Repeat([]byte(",{}"), n)...), "]}}"...)}
	}
	for name, c := range map[string]struct {
		few, many wsconn.Message
	}{
		"binary":  {binary(tracks(5_000)), binary(tracks(500_000))},
		"text":    {text(5_000), text(300_000)},
		"unknown": {wsconn.Message{Binary: true, Data: bytes.Repeat([]byte{0xF8, 0x07, 1}, 5_000)}, wsconn.Message{Binary: true, Data: bytes.Repeat([]byte{0xF8, 0x07, 1}, 300_000)}},
	} {
		if _, err := decode(c.few); err != nil {
			t.Errorf("%s: what clients send is refused: %v", name, err)
		}
		if _, err := decode(c.many); err == nil {
			t.Errorf("%s: %d bytes are read", name, len(c.many.Data))
		}
	}
	for n, want := range map[int]bool{1_000: true, 400_000: false} {
		wrapped, err := proto.Marshal(&lk.WrappedJoinRequest{JoinRequest: emptyTracks(t, n)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unpackJoinRequest(base64.RawURLEncoding.EncodeToString(wrapped)); (err == nil) != want {
			t.Errorf("%d tracks in a join request: %v", n, err)
		}
	}
}
