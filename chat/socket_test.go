package chat_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"commsd/chat"
	"commsd/internal/wsconn"
)

// Each fault of a client has its number in docs/protocols/chat.md.
func TestFaultyFramesGetTheirNumber(t *testing.T) {
	w := alone(t)
	n := w.node(func(c *chat.Config) {
		c.HelloWithin = time.Minute
		c.MaxCommands = 20
		c.Socket = wsconn.Config{ReadLimit: 8 << 10}
	})
	conv := n.direct("an", "chi")
	const hello = `{"type":"hello","id":1,"protocol":1}`
	send := fmt.Sprintf(`{"type":"send","id":2,"conversation":%q,"client_id":%q,"body":{"text":"x"}}`, conv, newID())
	for _, c := range []struct {
		name   string
		frames []string
		want   int
	}{
		{"empty", []string{""}, 4400},
		{"no JSON", []string{"hello"}, 4400},
		{"half an object", []string{`{"type":"hello"`}, 4400},
		{"an array", []string{`[{"type":"hello"}]`}, 4400},
		{"two objects in a line", []string{hello + hello}, 4400},
		{"an empty line", []string{hello + "\n\n"}, 4400},
		{"no UTF-8", []string{"{\"type\":\"hello\",\"x\":\"\xff\"}"}, 4400},
		{"no type", []string{`{}`}, 4401},
		{"unknown type", []string{`{"type":"shout"}`}, 4401},
		{"send before hello", []string{send}, 4402},
		{"hello twice", []string{hello, hello}, 4403},
		{"binary", []string{"\x00binary"}, 4405},
		{"type is a number", []string{`{"type":7}`}, 4406},
		{"id is a text", []string{`{"type":"hello","id":"1","protocol":1}`}, 4406},
		{"negative id", []string{`{"type":"hello","id":-1,"protocol":1}`}, 4406},
		{"cursor of no conversation", []string{`{"type":"hello","protocol":1,"cursors":{"x":{"seq":1}}}`}, 4406},
		{"negative cursor", []string{fmt.Sprintf(`{"type":"hello","protocol":1,"cursors":{%q:{"seq":-1}}}`, conv)}, 4406},
		{"negative user cursor", []string{`{"type":"hello","protocol":1,"user_seq":-1}`}, 4406},
		{"send without a client id", []string{hello, fmt.Sprintf(`{"type":"send","conversation":%q,"body":{"text":"x"}}`, conv)}, 4406},
		{"client id is no UUIDv7", []string{hello, fmt.Sprintf(`{"type":"send","conversation":%q,"client_id":"6ba7b810-9dad-41d1-80b4-00c04fd430c8","body":{"text":"x"}}`, conv)}, 4406},
		{"client id in capitals", []string{hello, strings.Replace(send, `"client_id":"0`, `"client_id":"A`, 1)}, 4406},
		{"body is no object", []string{hello, strings.Replace(send, `{"text":"x"}`, `"x"`, 1)}, 4406},
		{"no body", []string{hello, strings.Replace(send, `"body"`, `"bodi"`, 1)}, 4406},
		{"pull from both ends", []string{hello, fmt.Sprintf(`{"type":"pull","conversation":%q,"after":1,"before":3}`, conv)}, 4406},
		{"pull from neither end", []string{hello, fmt.Sprintf(`{"type":"pull","conversation":%q}`, conv)}, 4406},
		{"pull before the first", []string{hello, fmt.Sprintf(`{"type":"pull","conversation":%q,"before":0}`, conv)}, 4406},
		{"pull_person from nowhere", []string{hello, `{"type":"pull_person"}`}, 4406},
		{"read of no conversation", []string{hello, `{"type":"read","seq":1}`}, 4406},
		{"typing nowhere", []string{hello, `{"type":"typing"}`}, 4406},
		{"look at no id", []string{hello, `{"type":"look","conversation":"x"}`}, 4406},
		{"too many commands", []string{hello + strings.Repeat("\n"+`{"type":"ping"}`, 20)}, 4407},
		{"protocol of tomorrow", []string{`{"type":"hello","protocol":2}`}, 4408},
		{"oversized", []string{`{"type":"ping","pad":"` + strings.Repeat("x", 9<<10) + `"}`}, 1009},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := n.dial("an")
			for _, f := range c.frames {
				kind := websocket.TextMessage
				if strings.HasPrefix(f, "\x00") {
					kind = websocket.BinaryMessage
				}
				if err := s.ws.WriteMessage(kind, []byte(f)); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.ended(); got != c.want {
				t.Errorf("closed with %d, want %d", got, c.want)
			}
		})
	}
	if c := n.get("an", conv); c.Seq != 0 {
		t.Errorf("a faulty client has stored %d events", c.Seq)
	}
	if s := n.dial("an"); s.hello()["person"] != "p-an" {
		t.Error("the faults of others harm this one")
	}
}

// What waits is bounded in bytes, too, and what is under way counts: a client
// that does not read the answers cannot park more at the server.
func TestWaitingCommandsAreBoundedInBytes(t *testing.T) {
	n := alone(t).node(func(c *chat.Config) {
		c.MaxCommandBytes = 64 << 10
		c.Socket = wsconn.Config{QueueBytes: 4 << 10, ReadLimit: 32 << 10, WriteTimeout: patience, CloseTimeout: patience}
	})
	conv := n.direct("an", "chi")
	chi := n.peer("chi").ready()
	for range 20 {
		chi.send(conv, strings.Repeat("x", 16<<10))
	}
	s := n.dial("an")
	s.hello()
	// Well under the bounds, as often as one likes, when the answers are read.
	for i := range 20 {
		s.write(fmt.Sprintf(`{"type":"ping","id":%d,"pad":%q}`, i+1, strings.Repeat("x", 20<<10)))
		s.next("pong")
	}
	// From here on nothing is read: pulls fill the kernel's buffers and the
	// queue, then they wait.
	pull := fmt.Sprintf(`{"type":"pull","conversation":%q,"after":0,"pad":%q}`, conv, strings.Repeat("x", 15<<10))
	for range 250 { // commands, fewer than may wait by number
		if s.ws.WriteMessage(websocket.TextMessage, []byte(pull)) != nil {
			break
		}
	}
	if got := s.ended(); got != 4407 {
		t.Errorf("closed with %d", got)
	}
}

// Of an account's sockets the oldest gives way to one too many.
func TestSocketsOfAnAccountAreBounded(t *testing.T) {
	n := alone(t).node(func(c *chat.Config) { c.MaxSockets = 2 })
	other := n.dial("chi")
	other.hello()
	var own []*raw
	for _, token := range []string{"an", "an.2", "an", "an.3"} {
		s := n.dial(token)
		s.hello()
		own = append(own, s)
	}
	for i, s := range own[:2] {
		if got := s.ended(); got != 4505 {
			t.Errorf("socket %d was closed with %d", i, got)
		}
	}
	for i, s := range append(own[2:], other) {
		s.write(`{"type":"ping","id":5}`)
		if m := s.next("pong"); m["id"] != 5.0 {
			t.Errorf("socket %d that may stay: %v", i, m)
		}
	}
	_ = own[3].ws.Close()
	waitFor(t, "the closed sockets to be forgotten", func() bool { sockets, _, _ := n.service.Followed(); return sockets == 2 })
	s := n.dial("an")
	s.hello()
	own[2].write(`{"type":"ping","id":6}`)
	if m := own[2].next("pong"); m["id"] != 6.0 {
		t.Errorf("a place that was free: %v", m)
	}
}

func TestHelloMustComeInTime(t *testing.T) {
	n := alone(t).node(func(c *chat.Config) { c.HelloWithin = 20 * time.Millisecond })
	if got := n.dial("an").ended(); got != 4404 {
		t.Errorf("closed with %d", got)
	}
}

// What stands behind a fault is not done.
func TestNothingIsDoneAfterAFault(t *testing.T) {
	n := alone(t).node()
	conv := n.direct("an", "chi")
	s := n.dial("an")
	s.hello()
	s.write(`{"type":"hello","protocol":1}` + "\n" +
		fmt.Sprintf(`{"type":"send","conversation":%q,"client_id":%q,"body":{"text":"x"}}`, conv, newID()))
	if got := s.ended(); got != 4403 {
		t.Errorf("closed with %d", got)
	}
	n.stop() // so that all that was submitted is stored
	if page := events(t, n, "an", conv); len(page) != 0 {
		t.Errorf("stored: %v", page)
	}
}

func events(t *testing.T, n *node, token, conv string) []chat.ConversationEvent {
	t.Helper()
	var page struct{ Events []chat.ConversationEvent }
	n.must(200, token, "GET", "/conversations/"+conv+"/events", nil, &page)
	return page.Events
}

// Refusals of a message leave the socket open.
func TestRefusedMessages(t *testing.T) {
	n := alone(t).node(func(c *chat.Config) { c.MaxText = 100 })
	conv := n.direct("an", "chi")
	an := n.peer("an").ready()
	for text, want := range map[string]string{
		"":                       "invalid",
		" \n\t":                  "invalid",
		"bell \a":                "invalid",
		"NUL \x00":               "invalid",
		strings.Repeat("ế", 50):  "too_large",
		strings.Repeat("x", 101): "too_large",
	} {
		if got := an.refused(conv, text); got != want {
			t.Errorf("%.10q is refused with %s, want %s", text, got, want)
		}
	}
	if got := an.refused(newID(), "x"); got != "not_found" {
		t.Errorf("to nowhere: %s", got)
	}
	an.send(conv, "Dòng một\r\nDòng hai")
	an.reach(conv, 1).wants(conv, "Dòng một\nDòng hai")
	if an.Connects() != 1 {
		t.Errorf("%d connections", an.Connects())
	}
}

func TestSendRateIsBounded(t *testing.T) {
	n := alone(t).node(func(c *chat.Config) { c.SendBurst, c.SendRate = 3, 0.01 })
	conv := n.direct("an", "chi")
	an := n.peer("an").ready()
	for i := range 3 {
		an.send(conv, fmt.Sprint(i))
	}
	f := an.ask(object{"type": "send", "conversation": conv, "client_id": newID(), "body": object{"text": "x"}})
	if f.Type != "error" || f.Code != "rate_limited" || f.RetryAfterMS < 1000 || f.RetryAfterMS > 101_000 {
		t.Errorf("the fourth at once: %s", f.Raw)
	}
	if f := an.ask(object{"type": "ping"}); f.Type != "pong" {
		t.Errorf("ping: %s", f.Raw)
	}
}

// Only signed-in people on pages of our own get a socket.
func TestUpgradeIsGuarded(t *testing.T) {
	w := alone(t)
	n := w.node()
	n.dial("an") // the node runs
	w.with(func() { w.ended["old"] = true })
	own := strings.TrimPrefix(n.url, "http://")
	for _, c := range []struct {
		token, origin string
		want          int
	}{
		{"", "", 401},
		{"old", "", 401},
		{"an", "", 101},
		{"an", "https://chat.g2g.example", 101},
		{"an", "http://" + own, 101},
		{"an", "http://chat.g2g.example", 403},
		{"an", "https://evil.example", 403},
		{"an", "null", 403},
		{"an", "%zz", 403},
	} {
		h := http.Header{}
		if c.token != "" {
			h = header(c.token)
		}
		if c.origin != "" {
			h.Set("Origin", c.origin)
		}
		ws, rs, err := websocket.DefaultDialer.DialContext(t.Context(), n.socketURL(), h)
		if err == nil {
			_ = ws.Close()
		}
		if rs == nil || rs.StatusCode != c.want {
			t.Errorf("token %q, origin %q: %v, want %d", c.token, c.origin, err, c.want)
		}
	}
}

// Clients may be newer: members and events they add are passed over.
func TestUnknownMembersAreIgnored(t *testing.T) {
	n := alone(t).node()
	s := n.dial("an")
	s.write(`{"type":"hello","id":9,"protocol":1,"colour":"blue","after":3}`)
	if m := s.next("welcome"); m["id"] != 9.0 || m["max_text"] != 16384.0 || m["max_waiting"] != 256.0 {
		t.Errorf("welcome: %v", m)
	}
}
