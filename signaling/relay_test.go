package signaling

import (
	"log/slog"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	lk "commsd/internal/lkproto"
	"commsd/sfu"
)

// FuzzRelay reads data packets from inside: over sockets each would take an
// SCTP association.
func FuzzRelay(f *testing.F) {
	for _, p := range []*lk.DataPacket{
		{},
		{Sequence: 3, ParticipantIdentity: "minister", DestinationIdentities: []string{"chi"}},
		{Value: &lk.DataPacket_User{User: &lk.UserPacket{ParticipantSid: "PA_x", Payload: []byte("x"), DestinationSids: []string{"PA_y"}}}},
	} {
		b, err := proto.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(true, b)
	}
	f.Add(false, protowire.AppendBytes(protowire.AppendTag(nil, 13, protowire.BytesType), []byte("a stream's header")))
	f.Add(true, []byte{0xff})
	f.Fuzz(func(t *testing.T, reliable bool, data []byte) {
		r := &relay{identity: "an", sid: "PA_an", log: slog.New(slog.DiscardHandler)}
		kind := sfu.Lossy
		if reliable {
			kind = sfu.Reliable
		}
		sent, ok := r.route(kind, data)
		if !ok {
			return
		}
		var in, got lk.DataPacket
		if err := proto.Unmarshal(data, &in); err != nil {
			t.Fatalf("relayed what is no packet: %v", err)
		}
		if err := proto.Unmarshal(sent.Payload, &got); err != nil {
			t.Fatal(err)
		}
		if got.GetParticipantIdentity() != "an" || got.GetParticipantSid() != "PA_an" {
			t.Fatalf("the sender became %q %q", got.GetParticipantIdentity(), got.GetParticipantSid())
		}
		if u := got.GetUser(); u != nil && (u.GetParticipantIdentity() != "an" || u.GetParticipantSid() != "PA_an") {
			t.Fatalf("the sender became %q %q", u.GetParticipantIdentity(), u.GetParticipantSid())
		}
		asked := len(in.GetDestinationIdentities()) + len(in.GetUser().GetDestinationIdentities()) + len(in.GetUser().GetDestinationSids())
		if len(sent.To) != asked || sent.Sequence != in.GetSequence() || got.GetSequence() != in.GetSequence() {
			t.Fatalf("for %q of %d, sequence %d of %d", sent.To, asked, got.GetSequence(), in.GetSequence())
		}
	})
}
