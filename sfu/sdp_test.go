package sfu_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// clientOffer is a real offer: data channels and a track of each kind, and
// sections to receive in where one connection is to do.
func clientOffer(t testing.TB, one bool) string {
	t.Helper()
	var offer string
	enough := errors.New("enough")
	m, err := meetingpeer.NewMedia(meetingpeer.MediaConfig{OneConnection: one, Offer: func(sdp string, _ uint32) error {
		offer = sdp
		return enough
	}})
	if err != nil {
		t.Fatal(err)
	}
	for cid, kind := range map[string]sfu.Kind{"mic": sfu.Audio, "cam": sfu.Video} {
		if _, err := m.AddTrack(cid, kinds[kind]); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Negotiate(ctx(t)); !errors.Is(err, enough) {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return offer
}

// chromiumOffer is what Chromium 140 offers for a camera with three simulcast
// layers, its fingerprint and credentials changed; of its payload types, those
// that matter here are left.
const chromiumOffer = `v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS stream
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:EsAw
a=ice-pwd:bP1uHhWRHkAuMiYVUL6u0vR8
a=ice-options:trickle
a=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F
a=setup:actpass
a=mid:0
a=sctp-port:5000
a=max-message-size:262144
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:EsAw
a=ice-pwd:bP1uHhWRHkAuMiYVUL6u0vR8
a=ice-options:trickle
a=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F
a=setup:actpass
a=mid:1
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:5 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=sendonly
a=msid:stream cam
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rid:q send
a=rid:h send
a=rid:f send
a=simulcast:send q;h;f
`

// silent takes a place whose events are kept and not acted upon.
func silent(t testing.TB, s *sfu.SFU, identity string) *client {
	t.Helper()
	return silentOf(t, s, everything("r", identity))
}

func silentOf(t testing.TB, s *sfu.SFU, req sfu.JoinRequest) *client {
	t.Helper()
	c := &client{t: t, changed: make(chan struct{})}
	req.Events = c.note
	var err error
	if c.p, err = s.Join(ctx(t), req); err != nil {
		t.Fatal(err)
	}
	return c
}

// settled waits until the server has answered or ended the place.
func (c *client) settled() {
	c.t.Helper()
	limit := time.After(wait)
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if len(all[sfu.EventAnswer](c))+len(all[sfu.EventLeft](c)) > 0 {
			return
		}
		select {
		case <-changed:
		case <-limit:
			c.t.Fatal("the server says nothing")
		}
	}
}

func TestRealOffersAreAnswered(t *testing.T) {
	s := serve(t)
	for name, offer := range map[string]string{"pion": clientOffer(t, false), "chromium": strings.ReplaceAll(chromiumOffer, "\n", "\r\n")} {
		c := silent(t, s, name)
		c.p.Offer(offer, 7)
		e := await[sfu.EventAnswer](c, "an answer", nil)
		if e.ID != 7 || !strings.Contains(e.SDP, "m=video") || strings.Contains(e.SDP, "m=video 0 ") || strings.Contains(e.SDP, "rtx/90000") != strings.Contains(offer, "rtx/90000") {
			t.Errorf("%s: answer %d\n%s", name, e.ID, e.SDP)
		}
		c.p.Leave()
	}
}

// FuzzOffer and FuzzAnswer hand the server descriptions that no client would
// make. They may cost the client its place, and nothing else.
func FuzzOffer(f *testing.F) {
	offer := clientOffer(f, false)
	chromium := strings.ReplaceAll(chromiumOffer, "\n", "\r\n")
	f.Add(offer, false)
	f.Add(chromium, false)
	f.Add(chromiumOffer, false)
	f.Add(strings.Replace(chromium, "a=setup:actpass", "a=setup:holdconn", 2), false)
	f.Add(strings.Replace(chromium, "a=mid:1", "a=mid:0", 1), false)
	f.Add(strings.Replace(chromium, "a=rtcp-mux", "a=rtcp-mux\r\na=ssrc:4294967296 cname:x\r\na=ssrc-group:FID 1", 1), false)
	f.Add(strings.Replace(offer, "a=extmap:1 ", "a=extmap:99999 ", 1), false)
	f.Add(strings.Replace(offer, "m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=audio 9 UDP/TLS/RTP/SAVPF 999 -1 x", 1), false)
	f.Add("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", false)
	shared := clientOffer(f, true)
	f.Add(shared, true)
	f.Add(shared, false)
	f.Add(chromium, true)
	f.Add(strings.ReplaceAll(shared, "a=recvonly", "a=sendrecv"), true)
	f.Add(strings.ReplaceAll(shared, "a=recvonly", "a=inactive"), true)
	f.Add(strings.ReplaceAll(shared, "opus/48000", "pcmu/8000"), true)
	f.Add(strings.ReplaceAll(shared, "VP8/90000", "VP9/90000"), true)
	f.Add(strings.Replace(shared, "a=mid:1", "a=mid:2", 1), true)
	s := serve(f)
	// There is something to send.
	speaker := join(f, s, everything("r", "speaker"), nil)
	mic, _ := speaker.publish(microphone("mic"))
	speaker.pump(mic, opus)
	cam, _ := speaker.publish(camera("cam"))
	speaker.pump(cam, vp8)
	var mu sync.Mutex
	n := 0
	f.Fuzz(func(t *testing.T, sdp string, one bool) {
		mu.Lock()
		n++
		req := everything("r", fmt.Sprint(n))
		req.OneConnection = one
		c := silentOf(t, s, req)
		mu.Unlock()
		c.p.Offer(sdp, 1)
		c.settled()
		c.p.Leave()
		c.left()
	})
}

func FuzzAnswer(f *testing.F) {
	offer := strings.ReplaceAll(clientOffer(f, false), "actpass", "active")
	f.Add(offer)
	f.Add(strings.ReplaceAll(strings.ReplaceAll(chromiumOffer, "\n", "\r\n"), "actpass", "passive"))
	f.Add("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n")
	f.Add("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:bP1uHhWRHkAuMiYVUL6u0vR8\r\na=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F\r\na=setup:active\r\na=mid:0\r\na=sctp-port:5000\r\n")
	s := serve(f)
	var mu sync.Mutex
	n := 0
	f.Fuzz(func(t *testing.T, sdp string) {
		mu.Lock()
		n++
		c := silent(t, s, fmt.Sprint(n))
		mu.Unlock()
		await[sfu.EventOffer](c, "an offer", nil)
		c.p.Answer(sdp, 0)
		c.p.Offer("", 1) // refused once the answer has been dealt with
		c.left()
	})
}
