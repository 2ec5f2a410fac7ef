package sfu_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// publishAs is publish with an SSRC that others may have, too. What it sends
// names its sender.
func (c *client) publishAs(info sfu.TrackInfo, ssrc uint32) (pub *meetingpeer.Publication, sid string) {
	c.t.Helper()
	pub, sid = c.announceAs(info, ssrc)
	c.speak(info, pub)
	return pub, sid
}

// announceAs is publishAs before anything is sent.
func (c *client) announceAs(info sfu.TrackInfo, ssrc uint32) (pub *meetingpeer.Publication, sid string) {
	c.t.Helper()
	c.p.AddTrack(info)
	e := await(c, "its track", func(e sfu.EventTrackPublished) bool { return e.CID == info.CID })
	pub, err := c.AddTrackAs(info.CID, kinds[info.Kind], ssrc)
	if err != nil {
		c.t.Fatal(err)
	}
	c.negotiateNow()
	return pub, e.Track.SID
}

func (c *client) speak(info sfu.TrackInfo, pub *meetingpeer.Publication) {
	body := func(n int) []byte { return fmt.Appendf(nil, "%s of %s %d", info.CID, c.p.Identity(), n) }
	c.pump(pub, func(n int) *rtp.Packet {
		if info.Kind == sfu.Video {
			return meetingpeer.VP8(uint16(n), uint32(n)*3000, n%30 == 0, body(n))
		}
		return meetingpeer.Opus(uint16(n), uint32(n)*960, body(n))
	})
}

// says expects packets of the track that say what they are.
func (c *client) says(tr *meetingpeer.Track, text string) {
	c.t.Helper()
	for range 5 {
		c.next(tr, func(p *rtp.Packet) bool { return strings.Contains(string(p.Payload), text) })
	}
}

// Streams of two people that bear one number, by accident (RFC 3550, 8.2) or on
// purpose, stay apart.
func TestTwoPublishersOfOneSSRC(t *testing.T) { bothForms(t, testTwoPublishersOfOneSSRC) }

func testTwoPublishersOfOneSSRC(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	an, binh, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "binh"), cfg), join(t, s, everything("r", "chi"), cfg)
	sids := map[string]string{}
	for _, c := range []*client{an, binh} {
		pub, sid := c.publishAs(microphone("mic"), 4242)
		if pub.SSRC() != 4242 {
			t.Fatalf("sends as %d", pub.SSRC())
		}
		sids[sid] = c.p.Identity()
	}
	numbers := map[uint32]bool{}
	for range 2 {
		tr := chi.track()
		chi.says(tr, "mic of "+sids[tr.ID]+" ")
		numbers[tr.SSRC] = true
	}
	if len(numbers) != 2 {
		t.Errorf("received as %v", numbers)
	}
}

// A client two of whose streams bear one number hurts itself alone.
func TestOnePublisherOfOneSSRCTwice(t *testing.T) { bothForms(t, testOnePublisherOfOneSSRCTwice) }

func testOnePublisherOfOneSSRCTwice(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	an, binh, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "binh"), cfg), join(t, s, everything("r", "chi"), cfg)
	for _, info := range []sfu.TrackInfo{microphone("mic"), microphone("again"), camera("cam")} {
		an.publishAs(info, 4242)
	}
	_, sid := binh.publishAs(microphone("mic"), 4242)
	tr := chi.track()
	for tr.ID != sid {
		tr = chi.track()
	}
	chi.says(tr, "mic of binh ")
	an.p.Leave()
	an.left()
	chi.awaitParticipant("an", "is gone", func(p sfu.ParticipantInfo) bool { return p.State == sfu.Disconnected })
	for len(tr.Packets) > 0 {
		<-tr.Packets
	}
	chi.says(tr, "mic of binh ")
}

// Pictures that come as a section of sound does, or the other way round, are
// forwarded to nobody as what they are not.
func TestPicturesInASectionOfSound(t *testing.T) { bothForms(t, testPicturesInASectionOfSound) }

func testPicturesInASectionOfSound(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	an, binh, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "binh"), cfg), join(t, s, everything("r", "chi"), cfg)
	_, wrong := an.announceAs(microphone("mic"), 4242)
	cam, _ := an.announceAs(camera("cam"), 4242)
	an.speak(camera("cam"), cam) // Pion takes it for what was announced first
	for range 3 {                // each a way through the whole server
		info := microphone(fmt.Sprint("mic", len(all[sfu.EventTrackPublished](binh))))
		_, sid := binh.publishAs(info, 0)
		tr := chi.track()
		if tr.ID != sid {
			t.Fatalf("chi receives %s, want %s", tr.ID, sid)
		}
		chi.says(tr, info.CID+" of binh ")
	}
	for _, c := range []*client{binh, chi} {
		if left := all[sfu.EventLeft](c); len(left) > 0 {
			t.Errorf("%s is put out: %+v", c.p.Identity(), left)
		}
		for _, e := range all[sfu.EventParticipants](c) {
			for _, p := range e.Participants {
				for _, tr := range p.Tracks {
					if tr.SID == wrong {
						t.Fatalf("%s is told of a microphone of %q", c.p.Identity(), tr.MimeType)
					}
				}
			}
		}
	}
}

// A client may send with the very number that the server sends it something
// with, on the same connection: both flow, and what it reports of the one it
// receives is not lost.
func TestPublisherOfTheServersSSRC(t *testing.T) {
	s := serve(t)
	one := &meetingpeer.MediaConfig{OneConnection: true}
	an, binh, chi := join(t, s, everything("r", "an"), one), join(t, s, everything("r", "binh"), one), join(t, s, everything("r", "chi"), one)
	cam, _ := binh.publishAs(camera("cam"), 0)
	received := an.track()
	an.says(received, "cam of binh ")
	an.publishAs(camera("same"), received.SSRC)
	for {
		tr := chi.track()
		if p := chi.next(tr, nil); strings.Contains(string(p.Payload), "same of an ") {
			chi.says(tr, "same of an ")
			break
		}
	}
	an.says(received, "cam of binh ")
	for len(cam.RTCP) > 0 {
		<-cam.RTCP
	}
	ask := time.NewTicker(100 * time.Millisecond)
	defer ask.Stop()
	limit := time.After(wait)
	for {
		select {
		case r := <-cam.RTCP:
			if _, ok := r.(*rtcp.PictureLossIndication); ok {
				return
			}
		case <-ask.C:
			if err := an.WriteRTCP(&rtcp.PictureLossIndication{MediaSSRC: received.SSRC}); err != nil {
				t.Fatal(err)
			}
		case <-limit:
			t.Fatal("a key frame that is asked for is not asked of its publisher")
		}
	}
}
