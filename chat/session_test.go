package chat_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"commsd/chat"
	"commsd/identity"
	"commsd/internal/testpeer/chatpeer"
)

// A socket ends with its session: signed out, disabled, expired.
func TestSocketEndsWithItsSession(t *testing.T) {
	w := alone(t)
	n := w.node()
	page, phone, other := n.dial("an"), n.dial("an.2"), n.peer("chi").ready()
	page.hello()
	phone.hello()
	unwelcomed := n.dial("an") // has not said hello

	w.with(func() { w.ended["an"] = true }) // as the directory does, before it tells
	n.service.Revoke(identity.Revocation{Account: "acc-an", Session: "s-an"})
	for _, s := range []*raw{page, unwelcomed} {
		if got := s.ended(); got != 4501 {
			t.Errorf("the session's socket was closed with %d", got)
		}
	}
	phone.write(`{"type":"ping","id":5}`)
	if m := phone.next("pong"); m["id"] != 5.0 {
		t.Errorf("the other session: %v", m)
	}
	n.service.Revoke(identity.Revocation{Account: "acc-an"})
	if got := phone.ended(); got != 4501 {
		t.Errorf("the account's socket was closed with %d", got)
	}
	if f := other.ask(object{"type": "ping"}); f.Type != "pong" {
		t.Errorf("another's socket: %s", f.Raw)
	}

	w.with(func() { w.until["binh"] = time.Now().Add(50 * time.Millisecond) })
	if got := n.dial("binh").ended(); got != 4501 {
		t.Errorf("an expired session's socket was closed with %d", got)
	}
	// A client that follows the protocol does not come back by itself.
	w.with(func() { w.until["dung"] = time.Now().Add(50 * time.Millisecond) })
	dung := n.peer("dung")
	select {
	case err := <-dung.done:
		if dung.Ended() == nil || dung.Ended().Code != chatpeer.CodeSessionEnded {
			t.Errorf("ended by %v", err)
		}
		dung.done <- err
	case <-time.After(patience):
		t.Error("the peer goes on")
	}
}

// What waits for a slow reader whose session ends is not shown any more.
func TestEndedSessionGetsNoMore(t *testing.T) {
	w := alone(t)
	n := w.node()
	conv := n.direct("an", "chi")
	chi := n.dial("chi")
	chi.hello()
	an := n.peer("an").ready()
	var last chatpeer.Ack
	for range 25 { // more than the small buffers take, less than the queue
		last = an.send(conv, string(make16K()))
	}
	n.service.Revoke(identity.Revocation{Account: "acc-chi"})
	seen := 0
	for chi.ws.SetReadDeadline(time.Now().Add(patience)) == nil {
		if _, _, err := chi.ws.ReadMessage(); err != nil {
			break
		}
		seen++
	}
	if int64(seen) >= last.Seq {
		t.Errorf("%d frames came for %d events", seen, last.Seq)
	}
}

// A stopping node sends its sockets elsewhere and takes no new ones.
func TestDrain(t *testing.T) {
	w := alone(t)
	a, b := w.node(func(c *chat.Config) { c.DrainSpread = time.Hour }), w.node()
	conv := a.direct("an", "chi")
	s := a.dial("an")
	s.hello()
	at := a
	chi := b.peer("chi", func(c *chatpeer.Config) {
		c.URL = func() string {
			w.mu.Lock()
			defer w.mu.Unlock()
			return at.socketURL()
		}
	}).ready()
	w.with(func() { at = b })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	drained := make(chan struct{})
	go func() { a.service.Drain(ctx); close(drained) }()
	// Two people do not wait for a crowd.
	if m := s.next("reconnect_after"); m["after_ms"].(float64) < 0 || m["after_ms"].(float64) > 30 {
		t.Errorf("%v", m)
	}
	if got := s.ended(); got != 4502 {
		t.Errorf("closed with %d", got)
	}
	select {
	case <-drained:
	case <-ctx.Done():
		t.Fatal("Drain does not end although all have gone")
	}
	if status, _ := a.call("an", "GET", "/socket", nil, nil); status != 503 {
		t.Errorf("a new socket on the stopping node: %d", status)
	}
	chi.send(conv, "vẫn gửi được")
	if c := b.get("an", conv); c.Unread != 1 {
		t.Errorf("unread %d", c.Unread)
	}
}

// A node that is told to end without a drain says so, and its people go on
// elsewhere.
func TestRunEnds(t *testing.T) {
	w := alone(t)
	n := w.node()
	s := n.dial("an")
	s.hello()
	ended := make(chan int, 1)
	go func() { ended <- s.ended() }()
	n.stop()
	if got := <-ended; got != 1001 {
		t.Errorf("closed with %d", got)
	}
	if status, _ := n.call("an", "GET", "/socket", nil, nil); status != 503 {
		t.Errorf("a new socket: %d", status)
	}
}

// Nobody is told that their session ended when the directory cannot tell.
func TestDirectoryAwayDuringTheUpgrade(t *testing.T) {
	w := alone(t)
	n := w.node()
	n.dial("an")
	w.with(func() { w.broken = true })
	if status, _ := n.call("an", "GET", "/socket", nil, nil); status != 503 {
		t.Errorf("answered %d", status)
	}
}

// Notifications of other domains are kept and reach all pages; hints reach
// those that are open.
func TestNotifyAndHint(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a, b := w.node(), w.node(fast)
		an, chi := a.peer("an").ready(), b.peer("chi").ready()
		to := []identity.PersonID{"p-chi", "p-an", "p-chi", "p-away"}
		if err := a.service.Notify(t.Context(), to, "meeting.invited", object{"meeting": "m-1"}); err != nil {
			t.Fatal(err)
		}
		for _, p := range []*peer{an, chi} {
			if e := p.personReached("meeting.invited"); e.Seq != 1 || string(e.Body) != `{"meeting":"m-1"}` {
				t.Errorf("notified: %+v", e)
			}
		}
		if e := a.peer("away").ready().personReached("meeting.invited"); e.Seq != 1 {
			t.Errorf("who was away: %+v", e)
		}
		f := chi.ask(object{"type": "pull_person", "after": 0})
		if f.Type != "person_events" || f.Head != 1 || len(f.Events) != 1 {
			t.Errorf("pulled: %s", f.Raw)
		}
		// A hint may be lost with the bus: it is given until it comes.
		waitFor(t, "the hint", func() bool {
			a.service.Hint(t.Context(), to, "mail.changed", object{"box": "inbox"})
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			f, err := chi.Saw(ctx, "hint")
			return err == nil && f.Kind == "mail.changed" && string(f.Body) == `{"box":"inbox"}`
		})
		an.saw("hint")

		for kind, body := range map[string]any{
			"": object{}, "meeting": object{}, "Meeting.x": object{}, "conversation.joined": object{}, "conversation.left": object{},
			"a.list": []int{1}, "a.null": nil, "a.func": func() {},
		} {
			if err := a.service.Notify(t.Context(), to, kind, body); err == nil {
				t.Errorf("kind %q with %v was taken", kind, body)
			}
		}
		if err := a.service.Notify(t.Context(), nil, "meeting.invited", object{}); err != nil {
			t.Errorf("nobody: %v", err)
		}
	})
}

// A notification to a crowd does not fit one packet of the bus.
func TestNotifyCrowd(t *testing.T) {
	w := alone(t)
	a, b := w.node(), w.node()
	last := b.peer("999").ready()
	var to []identity.PersonID
	for i := range 1000 {
		to = append(to, identity.PersonID(pid(fmt.Sprintf("%03d", i))))
	}
	if err := a.service.Notify(t.Context(), to, "meeting.invited", object{"text": string(make16K()[:4000])}); err != nil {
		t.Fatal(err)
	}
	last.personReached("meeting.invited")
}

// Sockets that vanish at any moment, in the middle of hello too, leave nothing
// behind.
func TestVanishedSocketsLeaveNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		n := w.node()
		conv := n.channel("an", "Chung", "binh", "chi", "dung")
		n.direct("an", "chi")
		var going sync.WaitGroup
		for i := range 40 {
			s := n.dial([]string{"an", "binh", "chi", "dung"}[i%4])
			going.Go(func() {
				defer s.ws.UnderlyingConn().Close()
				if i%5 == 0 {
					return
				}
				if s.ws.WriteMessage(1, []byte(`{"type":"hello","id":1,"protocol":1}`)) != nil || i%5 == 1 {
					return
				}
				_, _, _ = s.ws.ReadMessage() // the welcome, or part of it
				if i%5 > 2 {
					_ = s.ws.WriteMessage(1, fmt.Appendf(nil, `{"type":"pull","id":2,"conversation":%q,"after":0}`, conv))
				}
			})
		}
		going.Wait()
		waitFor(t, "all to be forgotten", func() bool {
			sockets, people, listeners := n.service.Followed()
			return sockets == 0 && people == 0 && listeners == 0
		})
		an := n.peer("an").ready()
		an.send(conv, "vẫn chạy")
		an.reach(conv, 2)
	})
}
