package sfu_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// numbered is route with numbers for what is reliable, from 1.
func numbered(sender string) func(sfu.DataKind, []byte) (sfu.Data, bool) {
	var n atomic.Uint32
	plain := route(sender)
	return func(kind sfu.DataKind, data []byte) (sfu.Data, bool) {
		out, ok := plain(kind, data)
		if kind == sfu.Reliable && ok {
			out.Sequence = n.Add(1)
		}
		return out, ok
	}
}

func talker(t *testing.T, s *sfu.SFU, name string) *client {
	t.Helper()
	req := everything("r", name)
	req.Route = numbered(name)
	c := join(t, s, req, nil)
	c.negotiateNow()
	return c
}

// opens waits until the client's channel to the server is open.
func (c *client) opens() {
	c.t.Helper()
	c.send(meetingpeer.Reliable, "nobody|open")
	if err := c.Sent(ctx(c.t), meetingpeer.Reliable); err != nil {
		c.t.Fatal(err)
	}
}

// silent expects that nothing comes before what another client is asked to say
// next.
func (c *client) silent(by *client) {
	c.t.Helper()
	by.send(meetingpeer.Reliable, c.p.Identity()+"|barrier")
	c.hears(meetingpeer.Reliable, by.p.Identity()+":0:barrier")
}

// What is said to somebody from the moment they are in the room reaches them,
// in order, though their channel opens later.
func TestDataWaitsForTheChannel(t *testing.T) {
	s := serve(t)
	an := talker(t, s, "an")
	an.opens()
	an.send(meetingpeer.Reliable, "|before chi came")
	knock := talker(t, s, "knock") // its hearing a second packet says that the first went through
	knock.hearsLater("an:0:", an)
	req := everything("r", "chi")
	chi := join(t, s, req, nil)
	await[sfu.EventJoined](chi, "its place", nil)
	for i := range 50 {
		an.send(meetingpeer.Reliable, fmt.Sprintf("chi|early %d", i))
	}
	for i := range 50 {
		chi.hears(meetingpeer.Reliable, fmt.Sprintf("an:0:early %d", i))
	}
	chi.silent(an)
}

// hearsLater says things until one is heard.
func (c *client) hearsLater(prefix string, by *client) {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(wait)
	for n := 0; ; n++ {
		select {
		case d := <-c.Data():
			if len(d.Payload) < len(prefix) || string(d.Payload[:len(prefix)]) != prefix {
				c.t.Fatalf("hears %q", d.Payload)
			}
			// All that was said comes, and then this.
			by.send(meetingpeer.Reliable, c.p.Identity()+"|last")
			for string(d.Payload) != prefix+"last" {
				select {
				case d = <-c.Data():
				case <-limit:
					c.t.Fatal("the last does not come")
				}
			}
			return
		case <-tick.C:
			by.send(meetingpeer.Reliable, fmt.Sprintf("%s|knock %d", c.p.Identity(), n))
		case <-limit:
			c.t.Fatal("nothing is heard")
		}
	}
}

// Who comes back and says what it got last gets what came after, of each
// sender, and nothing that was for others.
func TestDataIsReplayed(t *testing.T) {
	s := serve(t)
	an, binh := talker(t, s, "an"), talker(t, s, "binh")
	chi := talker(t, s, "chi")
	chi.hearsLater("an:0:", an)
	chi.hearsLater("binh:0:", binh)
	// Counted anew: what was said so far has lower numbers than these.
	dung := talker(t, s, "dung")
	for i := 1; i <= 5; i++ {
		dung.send(meetingpeer.Reliable, fmt.Sprintf("chi|%d", i))
		chi.hears(meetingpeer.Reliable, fmt.Sprintf("dung:0:%d", i))
	}
	dung.send(meetingpeer.Reliable, "an|not for chi")
	dung.send(meetingpeer.Lossy, "chi|quickly")
	chi.hears(meetingpeer.Lossy, "dung:1:quickly")
	const all = 1 << 31
	last := map[string]uint32{an.p.SID(): all, binh.p.SID(): all, dung.p.SID(): 3}
	chi.p.Replay(last)
	chi.hears(meetingpeer.Reliable, "dung:0:4")
	chi.hears(meetingpeer.Reliable, "dung:0:5")
	chi.silent(dung)
	last[dung.p.SID()] = all
	chi.p.Replay(last)
	chi.silent(dung)
}

// What is kept is bounded in bytes: the oldest goes first.
func TestReplayIsBounded(t *testing.T) {
	s := serve(t, func(c *sfu.Config) { c.ReplayBytes = 25 })
	an := talker(t, s, "an")
	chi := talker(t, s, "chi")
	chi.hearsLater("an:0:", an)
	for i := 1; i <= 5; i++ { // of nine bytes each
		an.send(meetingpeer.Reliable, fmt.Sprintf("chi|say%d", i))
		chi.hears(meetingpeer.Reliable, fmt.Sprintf("an:0:say%d", i))
	}
	chi.p.Replay(nil)
	chi.hears(meetingpeer.Reliable, "an:0:say4")
	chi.hears(meetingpeer.Reliable, "an:0:say5")
	chi.silent(an)
}
