package sfu_test

import (
	"strings"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// h264 makes the n-th packet of a stream whose every picture is a key frame: an
// aggregate that begins with its parameters (RFC 6184, 5.7.1).
func h264(n int) *rtp.Packet {
	return &rtp.Packet{
		Header:  rtp.Header{Version: 2, SequenceNumber: uint16(n), Timestamp: uint32(n) * 3000, Marker: true},
		Payload: []byte{0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xCE, 0, 2, 0x65, byte(n)},
	}
}

// answered is the codec that stands first in a section of an answer.
func answered(sdp, mid string) string {
	for section := range strings.SplitSeq(sdp, "\r\nm=") {
		if !strings.Contains(section, "\r\na=mid:"+mid+"\r\n") {
			continue
		}
		line, _, _ := strings.Cut(section, "\r\n")
		words := strings.Fields(line)
		_, codec, _ := strings.Cut(section, "\r\na=rtpmap:"+words[3]+" ")
		codec, _, _ = strings.Cut(codec, "/")
		return codec
	}
	return "no section"
}

// Clients offer all their codecs in an order of their own and send the first of
// the answer: which is the one that they announced.
func TestAnnouncedCodecStandsFirst(t *testing.T) {
	const more = `a=rtpmap:102 H264/90000
a=rtcp-fb:102 nack pli
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:103 rtx/90000
a=fmtp:103 apt=102
a=rid:q send`
	const sound = `m=audio 9 UDP/TLS/RTP/SAVPF 111 63
c=IN IP4 0.0.0.0
a=ice-ufrag:EsAw
a=ice-pwd:bP1uHhWRHkAuMiYVUL6u0vR8
a=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F
a=setup:actpass
a=mid:2
a=sendonly
a=msid:stream mic
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
`
	offer := strings.Replace(chromiumOffer, "SAVPF 96 97", "SAVPF 96 97 102 103", 1)
	offer = strings.Replace(offer, "a=rid:q send", more, 1)
	offer = strings.Replace(offer, "BUNDLE 0 1", "BUNDLE 0 1 2", 1) + sound
	offer = strings.ReplaceAll(offer, "\n", "\r\n")
	bothForms(t, func(t *testing.T, cfg *meetingpeer.MediaConfig) {
		s := serve(t)
		for name, c := range map[string]struct {
			codec, video string
			disableRED   bool
			audio        string
		}{
			"H264 and plain sound": {codec: webrtc.MimeTypeH264, video: "H264", disableRED: true, audio: "opus"},
			"VP8 and RED":          {codec: webrtc.MimeTypeVP8, video: "VP8", audio: "red"},
			"none said":            {video: "VP8", audio: "red"},
			"none that is offered": {codec: webrtc.MimeTypeVP9, video: "VP8", audio: "red"},
		} {
			req := everything("r", name)
			req.OneConnection = cfg.OneConnection
			p := silentOf(t, s, req)
			cam, mic := camera("cam"), microphone("mic")
			cam.Codec, mic.DisableRED = c.codec, c.disableRED
			p.p.AddTrack(cam)
			p.p.AddTrack(mic)
			for id := range uint32(2) { // and so it stays
				p.p.Offer(offer, id+1)
				e := await(p, "an answer", func(e sfu.EventAnswer) bool { return e.ID == id+1 })
				if video, audio := answered(e.SDP, "1"), answered(e.SDP, "2"); video != c.video || audio != c.audio {
					t.Errorf("%s, offer %d: %s and %s first\n%s", name, id+1, video, audio, e.SDP)
				}
			}
			p.p.Leave()
		}
	})
}

// Who lacks the codec of a picture is told so, and stays with everything else.
func TestWhoLacksTheCodecStays(t *testing.T) {
	bothForms(t, func(t *testing.T, cfg *meetingpeer.MediaConfig) {
		s := serve(t)
		speaker := join(t, s, everything("r", "speaker"), &meetingpeer.MediaConfig{H264: true})
		cam, sid := speaker.publish(camera("cam"))
		speaker.pump(cam, h264)

		guest := join(t, s, everything("r", "guest"), cfg)
		if e := await[sfu.EventSubscriptionFailed](guest, "a refusal", nil); e.TrackSID != sid || !e.Codec {
			t.Errorf("told %+v of %s", e, sid)
		}
		mic, heard := speaker.publish(microphone("mic"))
		speaker.pump(mic, opus)
		tr := guest.track()
		for ; tr.Kind == webrtc.RTPCodecTypeVideo; tr = guest.track() { // a section that was there for a moment
		}
		if tr.ID != heard && guest.TrackAt(tr.MID) != heard {
			t.Errorf("receives %s", tr.ID)
		}
		guest.next(tr, nil)

		full := *cfg
		full.H264 = true
		able := join(t, s, everything("r", "able"), &full)
		for tr = able.track(); tr.Kind != webrtc.RTPCodecTypeVideo; tr = able.track() {
		}
		if p := able.next(tr, nil); p.Payload[0] != 0x78 {
			t.Errorf("received %x", p.Payload)
		}
		if gone := all[sfu.EventLeft](guest); len(gone) > 0 {
			t.Errorf("the guest was sent away: %+v", gone)
		}
	})
}
