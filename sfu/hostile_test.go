package sfu_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// crowd takes places without media: a witness, and one whose client does what
// it likes, with as many tracks announced as may be, of names as long as may be.
func crowd(t *testing.T) (s *sfu.SFU, hostile, witness *client, sids []string) {
	t.Helper()
	s = serve(t)
	witness, hostile = silent(t, s, "witness"), silent(t, s, "hostile")
	long := strings.Repeat("x", 256)
	for i := range 32 {
		hostile.p.AddTrack(sfu.TrackInfo{CID: fmt.Sprint(i), Kind: sfu.Audio, Source: sfu.SourceMicrophone, Muted: true, Name: long, Stream: long,
			Layers: []sfu.VideoLayer{{RID: long}, {RID: long}, {RID: long}, {RID: long}}})
	}
	witness.awaitParticipant("hostile", "its tracks", func(p sfu.ParticipantInfo) bool { return len(p.Tracks) == 32 })
	for _, e := range all[sfu.EventTrackPublished](hostile) {
		sids = append(sids, e.Track.SID)
	}
	return s, hostile, witness, sids
}

// Who mutes and unmutes all the time does not drown the others in updates: they
// hear of it now and then, and of the last change in the end.
func TestUpdatesAreTold(t *testing.T) {
	_, hostile, witness, sids := crowd(t)
	before := len(all[sfu.EventParticipants](witness))
	const changes = 20_001 // an odd number: in the end it is not muted
	for i := range changes {
		hostile.p.Mute(sids[0], i%2 == 1)
	}
	witness.awaitParticipant("hostile", "the last change", func(p sfu.ParticipantInfo) bool {
		for _, tr := range p.Tracks {
			if tr.SID == sids[0] {
				return !tr.Muted && tr.Version == changes+1
			}
		}
		return false
	})
	told := 0
	for _, e := range all[sfu.EventParticipants](witness)[before:] {
		for _, p := range e.Participants {
			if p.Identity == "hostile" {
				told++
			}
		}
	}
	// 80 KB each: some of them at once, and little more in the time.
	if told > 500 {
		t.Errorf("told of it %d times", told)
	}
}

// Who lets others receive its tracks and forbids it all the time does not have
// everybody negotiate all the time.
func TestAccessIsChangedWithMeasure(t *testing.T) {
	_, hostile, witness, sids := crowd(t)
	const changes = 5_000
	for range changes {
		hostile.p.AllowSubscribers(sfu.SubscriptionPermission{})
		hostile.p.AllowSubscribers(sfu.SubscriptionPermission{All: true})
	}
	hostile.p.AllowSubscribers(sfu.SubscriptionPermission{Grants: []sfu.TrackGrant{{Identity: "witness", Tracks: sids[1:]}}})
	told := make(map[string]bool)
	await(witness, "the last change", func(e sfu.EventSubscriptionAllowed) bool {
		told[e.TrackSID] = e.Allowed
		first, said := told[sids[0]]
		return said && !first && told[sids[1]] && told[sids[31]]
	})
	if n := len(all[sfu.EventSubscriptionAllowed](witness)); n > changes {
		t.Errorf("told of it %d times", n)
	}
}

// A client that opens channel after channel and does not let them be closed
// loses its place: each costs a buffer.
func TestChannelsWithoutEnd(t *testing.T) { bothForms(t, testChannelsWithoutEnd) }

func testChannelsWithoutEnd(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	p := talkers(t, s, cfg, "an", "chi")
	an := p[0]
	for i := range 100 {
		if _, err := an.Publisher().CreateDataChannel(fmt.Sprint(i), nil); err != nil {
			break // it has been closed already
		}
	}
	if l := an.left(); l.Reason != sfu.ReasonMediaFailure {
		t.Errorf("left with %+v", l)
	}
}

// A subscriber that asks for everything again, for key frames, and says what it
// likes of what it has got, gets its own stream, and costs nobody else theirs.
func TestFloodOfReports(t *testing.T) { bothForms(t, testFloodOfReports) }

func testFloodOfReports(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	an, chi, hostile := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "chi"), cfg), join(t, s, everything("r", "hostile"), cfg)
	cam, _ := an.publish(camera("cam"))
	an.pump(cam, vp8)
	seen, own := chi.track(), hostile.track()
	chi.next(seen, nil)
	hostile.next(own, nil)
	nacks := make([]rtcp.NackPair, 250)
	for i := range nacks {
		nacks[i] = rtcp.NackPair{PacketID: uint16(17 * i), LostPackets: 0xFFFF}
	}
	bye := &rtcp.Goodbye{Reason: strings.Repeat("x", 200)}
	for i := range uint32(31) {
		bye.Sources = append(bye.Sources, own.SSRC+i)
	}
	lie := &rtcp.TransportLayerCC{
		Header:     rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback},
		SenderSSRC: 1, MediaSSRC: own.SSRC, PacketStatusCount: 8000,
		PacketChunks: []rtcp.PacketStatusChunk{&rtcp.RunLengthChunk{PacketStatusSymbol: rtcp.TypeTCCPacketNotReceived, RunLength: 8000}},
	}
	lie.Header.Length = uint16(lie.MarshalSize()/4 - 1)
	for len(cam.RTCP) > 0 {
		<-cam.RTCP // what the beginning asked for
	}
	start, asked := time.Now(), 0
	for range 500 {
		for _, p := range []rtcp.Packet{
			&rtcp.TransportLayerNack{MediaSSRC: own.SSRC, Nacks: nacks},
			&rtcp.PictureLossIndication{MediaSSRC: own.SSRC},
			&rtcp.FullIntraRequest{MediaSSRC: own.SSRC, FIR: []rtcp.FIREntry{{SSRC: own.SSRC}}},
			&rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{{SSRC: own.SSRC, FractionLost: 255, TotalLost: 1 << 23, LastSequenceNumber: 1 << 30, Jitter: 1 << 31, Delay: 1 << 31}}},
			&rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: 1e15, SSRCs: []uint32{own.SSRC}},
			bye, lie,
		} {
			if err := hostile.WriteRTCP(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	for len(seen.Packets) > 0 {
		<-seen.Packets
	}
	for range 20 {
		chi.next(seen, nil)
	}
	for took := time.Since(start); len(cam.RTCP) > 0; {
		if _, is := (<-cam.RTCP).(*rtcp.PictureLossIndication); is {
			if asked++; asked > 4+int(took/(500*time.Millisecond)) {
				t.Fatalf("asked for %d key frames in %v", asked, took)
			}
		}
	}
}
