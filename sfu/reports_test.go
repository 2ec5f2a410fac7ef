package sfu_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// Sender reports tie a stream's timestamps to a clock, by which sound and
// picture are played in step (RFC 3550, 6.4.1). They reach subscribers in the
// timestamps that subscribers see, also where those have been shifted.
func TestSenderReportsAreTranslated(t *testing.T) { bothForms(t, testSenderReportsAreTranslated) }

func testSenderReportsAreTranslated(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	an, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "chi"), cfg)
	pub, sid := an.publish(microphone("mic"))
	source := an.pump(pub, opus)
	tr := chi.track()
	chi.next(tr, nil)
	check := func(ntp uint64, sourceTime uint32) {
		t.Helper()
		var n int
		p := chi.next(tr, nil)
		if _, err := fmt.Sscanf(string(p.Payload), "sound %d", &n); err != nil {
			t.Fatal(err)
		}
		shift := p.Timestamp - uint32(n)*960
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		limit := time.After(wait)
		for {
			select {
			case <-tick.C:
				sr := &rtcp.SenderReport{SSRC: pub.SSRC(), NTPTime: ntp, RTPTime: sourceTime, PacketCount: 1, OctetCount: 1}
				if err := an.Publisher().WriteRTCP([]rtcp.Packet{sr}); err != nil {
					t.Fatal(err)
				}
			case r := <-tr.RTCP:
				sr, ok := r.(*rtcp.SenderReport)
				if !ok || sr.NTPTime != ntp {
					continue
				}
				if sr.SSRC != tr.SSRC || sr.RTPTime != sourceTime+shift || sr.PacketCount < 2 || sr.OctetCount < 10 {
					t.Fatalf("report %+v, want stream %d at %d", sr, tr.SSRC, sourceTime+shift)
				}
				return
			case <-limit:
				t.Fatal("no sender report comes")
			}
		}
	}
	check(1<<40|7, 123456)
	// Muting shifts what follows. Packets of before are read past.
	an.p.Mute(sid, true)
	chi.awaitParticipant("an", "is muted", func(p sfu.ParticipantInfo) bool { return len(p.Tracks) == 1 && p.Tracks[0].Muted })
	source.Stop()
	// Less than half the numbers' range on, so that a late packet of before is
	// known for one.
	an.pump(pub, func(n int) *rtp.Packet { return opus(n + 20_000) })
	an.p.Mute(sid, false)
	chi.next(tr, func(p *rtp.Packet) bool { return len(p.Payload) >= len("sound 20000") })
	check(1<<41|9, 20_000*960)
}

// A publisher learns how its packets arrive: by receiver reports and by
// transport-wide feedback, from which it estimates its bandwidth.
func TestPublisherGetsFeedback(t *testing.T) { bothForms(t, testPublisherGetsFeedback) }

func testPublisherGetsFeedback(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	an := join(t, s, everything("r", "an"), cfg)
	pub, _ := an.publish(camera("cam"))
	twcc := pub.Extension(sdp.TransportCCURI)
	if twcc == 0 {
		t.Fatal("transport-wide feedback was not negotiated")
	}
	an.pump(pub, func(n int) *rtp.Packet {
		p := meetingpeer.VP8(uint16(n), uint32(n)*3000, n%30 == 0, []byte("picture"))
		if err := p.SetExtension(twcc, []byte{byte(n >> 8), byte(n)}); err != nil {
			t.Error(err)
		}
		if n%10 == 9 { // is lost
			return nil
		}
		return p
	})
	if err := pub.Request(ctx(t), func(p rtcp.Packet) bool {
		cc, ok := p.(*rtcp.TransportLayerCC)
		return ok && cc.MediaSSRC == pub.SSRC() && cc.PacketStatusCount > 0 && len(cc.RecvDeltas) > 0
	}); err != nil {
		t.Fatal(err)
	}
	sr := &rtcp.SenderReport{SSRC: pub.SSRC(), NTPTime: 0x1122334455667788}
	if err := an.Publisher().WriteRTCP([]rtcp.Packet{sr}); err != nil {
		t.Fatal(err)
	}
	if err := pub.Request(ctx(t), func(p rtcp.Packet) bool {
		rr, ok := p.(*rtcp.ReceiverReport)
		if !ok || len(rr.Reports) != 1 || rr.Reports[0].SSRC != pub.SSRC() || rr.Reports[0].LastSenderReport == 0 {
			return false
		}
		r := rr.Reports[0]
		if r.LastSenderReport != 0x33445566 || r.TotalLost == 0 || r.FractionLost < 10 || r.FractionLost > 60 { // 26 of 256
			t.Errorf("report %+v", r)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
}

// Sound counts in transport-wide feedback, either way: where all pictures are
// held back it alone tells what the line carries.
func TestSoundIsCounted(t *testing.T) { bothForms(t, testSoundIsCounted) }

func testSoundIsCounted(t *testing.T, cfg *meetingpeer.MediaConfig) {
	browser := *cfg
	browser.AsBrowser = true
	s := serve(t)
	an, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "chi"), &browser)
	pub, _ := an.publish(microphone("mic"))
	if pub.Extension(sdp.TransportCCURI) == 0 {
		t.Error("a microphone's packets are not counted")
	}
	an.pump(pub, opus)
	tr := chi.track()
	id := 0
	for _, tc := range chi.Subscriber().GetTransceivers() {
		for _, e := range tc.Receiver().GetParameters().HeaderExtensions {
			if tc.Mid() == tr.MID && e.URI == sdp.TransportCCURI {
				id = e.ID
			}
		}
	}
	number := func() uint16 {
		t.Helper()
		b := chi.next(tr, nil).GetExtension(uint8(id))
		if len(b) != 2 {
			t.Fatalf("sound comes without a number: %v (extension %d)", b, id)
		}
		return uint16(b[0])<<8 | uint16(b[1])
	}
	if first := number(); number() == first {
		t.Fatal("every packet has the same number")
	}
}
