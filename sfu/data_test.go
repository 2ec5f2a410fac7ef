package sfu_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// route reads "to|text": to names who it is for, empty for everybody; what
// goes out is "text" with the sender before it.
func route(sender string) func(sfu.DataKind, []byte) (sfu.Data, bool) {
	return func(kind sfu.DataKind, data []byte) (sfu.Data, bool) {
		to, text, ok := bytes.Cut(data, []byte("|"))
		var names []string
		if len(to) > 0 {
			names = []string{string(to)}
		}
		return sfu.Data{Payload: fmt.Appendf(nil, "%s:%d:%s", sender, kind, text), To: names}, ok
	}
}

func (c *client) send(label, text string) {
	c.t.Helper()
	if err := c.Send(ctx(c.t), label, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// hears expects the next data packet.
func (c *client) hears(label, text string) {
	c.t.Helper()
	select {
	case d := <-c.Data():
		if d.Label != label || string(d.Payload) != text {
			c.t.Fatalf("%s hears %q by %s, want %q by %s", c.p.Identity(), d.Payload, d.Label, text, label)
		}
	case <-time.After(wait):
		c.t.Fatalf("%s does not hear %q", c.p.Identity(), text)
	}
}

// talkers joins people whose data channels are open both ways.
func talkers(t *testing.T, s *sfu.SFU, cfg *meetingpeer.MediaConfig, names ...string) []*client {
	t.Helper()
	var people []*client
	for _, n := range names {
		req := everything("r", n)
		req.Route = route(n)
		c := join(t, s, req, cfg)
		c.negotiateNow()
		people = append(people, c)
	}
	// A packet to somebody whose channel is not open yet is lost: ask until it
	// has come once.
	for i, c := range people {
		other := people[(i+1)%len(people)]
		for _, label := range []string{meetingpeer.Reliable, meetingpeer.Lossy} {
			knock := time.NewTicker(20 * time.Millisecond)
			for heard := false; !heard; {
				select {
				case <-knock.C:
					other.send(label, c.p.Identity()+"|hello")
				case d := <-c.Data():
					heard = d.Label == label
				case <-time.After(wait):
					t.Fatalf("no data reaches %s by %s", c.p.Identity(), label)
				}
			}
			knock.Stop()
		}
	}
	// What was said too often comes before the end of its own channel; the other
	// may be quicker. An end that is lost is said again.
	for i, c := range people {
		for _, label := range []string{meetingpeer.Reliable, meetingpeer.Lossy} {
			again := time.NewTicker(2 * time.Second)
			limit := time.After(wait)
			said := 0
			say := func() {
				said++
				people[(i+1)%len(people)].send(label, fmt.Sprintf("%s|done %d", c.p.Identity(), said))
			}
			say()
			for done := false; !done; {
				select {
				case d := <-c.Data():
					done = d.Label == label && bytes.HasSuffix(d.Payload, fmt.Appendf(nil, ":done %d", said))
				case <-again.C:
					say()
				case <-limit:
					t.Fatal("the hellos do not end")
				}
			}
			again.Stop()
		}
	}
	return people
}

func TestDataIsRouted(t *testing.T) { bothForms(t, testDataIsRouted) }

func testDataIsRouted(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	p := talkers(t, s, cfg, "an", "binh", "chi")
	an, binh, chi := p[0], p[1], p[2]
	an.send(meetingpeer.Reliable, "|to all")
	binh.hears(meetingpeer.Reliable, "an:0:to all")
	chi.hears(meetingpeer.Reliable, "an:0:to all")
	an.send(meetingpeer.Lossy, "|quickly")
	binh.hears(meetingpeer.Lossy, "an:1:quickly")
	chi.hears(meetingpeer.Lossy, "an:1:quickly")
	an.send(meetingpeer.Reliable, "chi|by identity")
	an.send(meetingpeer.Reliable, chi.p.SID()+"|by sid")
	an.send(meetingpeer.Reliable, "nobody|lost")
	an.send(meetingpeer.Reliable, "refused by route")
	an.send(meetingpeer.Reliable, "|barrier")
	chi.hears(meetingpeer.Reliable, "an:0:by identity")
	chi.hears(meetingpeer.Reliable, "an:0:by sid")
	chi.hears(meetingpeer.Reliable, "an:0:barrier")
	binh.hears(meetingpeer.Reliable, "an:0:barrier") // and nothing of the others'
	big := bytes.Repeat([]byte("x"), 60_000)
	an.send(meetingpeer.Reliable, "chi|"+string(big))
	chi.hears(meetingpeer.Reliable, "an:0:"+string(big))
	select {
	case d := <-an.Data():
		t.Fatalf("an hears itself: %q", d.Payload)
	default:
	}
}

// Who sends more data than the others may be able to take is slowed down and
// loses nothing; leaving does not wait for what is held up.
func TestDataIsPaced(t *testing.T) { bothForms(t, testDataIsPaced) }

func testDataIsPaced(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	p := talkers(t, s, cfg, "an", "chi")
	an, chi := p[0], p[1]
	const count, size = 50, 60_000 // 3 MB
	start := time.Now()
	for i := range count {
		an.send(meetingpeer.Reliable, fmt.Sprintf("|%04d", i)+strings.Repeat("x", size))
	}
	for i := range count {
		select {
		case d := <-chi.Data():
			if !bytes.HasPrefix(d.Payload, fmt.Appendf(nil, "an:0:%04dx", i)) {
				t.Fatalf("packet %d begins %q", i, d.Payload[:12])
			}
		case <-time.After(wait):
			t.Fatalf("packet %d does not come", i)
		}
	}
	if took := time.Since(start); took < time.Second { // 2 MiB at once and 512 KiB a second
		t.Fatalf("all came in %v", took)
	}
	for range count {
		an.send(meetingpeer.Reliable, "|"+strings.Repeat("y", size))
	}
	an.p.Leave()
	an.left()
}

// A client cannot open channels without end.
func TestDataChannelsAreBounded(t *testing.T) { bothForms(t, testDataChannelsAreBounded) }

func testDataChannelsAreBounded(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	p := talkers(t, s, cfg, "an", "chi")
	an, chi := p[0], p[1]
	const more = 30
	closed := make(chan struct{}, more)
	for i := range more {
		dc, err := an.Publisher().CreateDataChannel(fmt.Sprint(i), nil)
		if err != nil {
			t.Fatal(err)
		}
		dc.OnClose(func() { closed <- struct{}{} })
	}
	for range more - 14 { // two are in use
		select {
		case <-closed:
		case <-time.After(wait):
			t.Fatal("the server keeps what it should close")
		}
	}
	an.send(meetingpeer.Reliable, "|still here")
	chi.hears(meetingpeer.Reliable, "an:0:still here")
}

func TestDataNeedsPermission(t *testing.T) { bothForms(t, testDataNeedsPermission) }

func testDataNeedsPermission(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	p := talkers(t, s, cfg, "an", "chi")
	an, chi := p[0], p[1]
	req := everything("r", "silent")
	req.Permission.PublishData = false
	req.Route = route("silent")
	silent := join(t, s, req, cfg)
	silent.negotiateNow()
	silent.send(meetingpeer.Reliable, "|smuggled")
	if err := silent.Sent(ctx(t), meetingpeer.Reliable); err != nil {
		t.Fatal(err)
	}
	for range 3 { // each a way through the whole server
		an.send(meetingpeer.Reliable, "chi|fine")
		chi.hears(meetingpeer.Reliable, "an:0:fine")
	}
}
