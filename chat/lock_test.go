package chat_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"commsd/chat"
	"commsd/identity"
)

// locks says when sessions lock.
type locks struct {
	mu sync.Mutex
	at map[identity.SessionID]time.Time // guarded by mu

	worked []identity.SessionID // guarded by mu
}

func (l *locks) NoteActivity(_ context.Context, actor identity.Actor) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.worked = append(l.worked, actor.Session)
	return nil
}

func (l *locks) LocksAt(_ context.Context, id identity.SessionID) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at[id], nil
}

func (l *locks) set(id identity.SessionID, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at[id] = at
}

// A locked session's socket lives on: it is told how much there is, but nothing
// of what was said, and reads and writes nothing until it is unlocked.
func TestLockedSessionIsToldCountsAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		l := &locks{at: map[identity.SessionID]time.Time{}}
		n := w.node(func(c *chat.Config) { c.Locks = l })
		an, conv := n.peer("an").ready(), n.direct("an", "chi")
		l.set("s-chi", time.Now().Add(-time.Second))
		chi := n.dial("chi")
		chi.hello()

		an.send(conv, "tin mật của cơ quan")
		frame := chi.any()
		for frame["type"] == "person_event" || frame["type"] == "typing" {
			t.Errorf("shown while locked: %v", frame)
			frame = chi.any()
		}
		if frame["type"] != "head" || frame["conversation"] != conv || frame["count"] == nil || strings.Contains(text(frame), "mật") {
			t.Fatalf("told while locked: %v", frame)
		}
		for _, command := range []string{
			`{"type":"pull","id":1,"conversation":"` + conv + `","after":0}`,
			`{"type":"pull_person","id":2,"after":0}`,
			`{"type":"send","id":3,"conversation":"` + conv + `","client_id":"` + newID() + `","body":{"text":"x"}}`,
			`{"type":"read","id":4,"conversation":"` + conv + `","seq":1}`,
		} {
			chi.write(command)
			if answer := chi.next("error"); answer["code"] != "locked" {
				t.Errorf("%s answers %v", command, answer)
			}
		}

		l.set("s-chi", time.Time{})
		chi.write(`{"type":"ping","id":5}`)
		if lag := chi.next("lagging"); !strings.Contains(text(lag), conv) {
			t.Errorf("unlocked, it is told %v", lag)
		}
		chi.next("pong")
		chi.write(`{"type":"pull","id":6,"conversation":"` + conv + `","after":0}`)
		if events := chi.next("events"); !strings.Contains(text(events), "tin mật của cơ quan") {
			t.Errorf("unlocked, it pulls %v", events)
		}
		an.send(conv, "và tiếp")
		if event := chi.next("event"); !strings.Contains(text(event), "và tiếp") {
			t.Errorf("unlocked, it is pushed %v", event)
		}
	})
}

// The socket finds out by itself when its session locks.
func TestSocketLocksInTime(t *testing.T) {
	w := alone(t)
	l := &locks{at: map[identity.SessionID]time.Time{}}
	n := w.node(func(c *chat.Config) { c.Locks = l })
	n.peer("an").ready()
	conv := n.direct("an", "chi")
	l.set("s-chi", time.Now().Add(50*time.Millisecond))
	chi := n.dial("chi")
	chi.hello()
	for {
		chi.write(`{"type":"pull","id":1,"conversation":"` + conv + `","after":0}`)
		if answer := chi.any(); answer["type"] == "error" {
			if answer["code"] != "locked" {
				t.Errorf("refused with %v", answer)
			}
			return
		}
	}
}

func text(frame object) string {
	b, err := json.Marshal(frame)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Writing is work in the session, reading along is not; it is said once a minute.
func TestWritingKeepsTheSessionOpen(t *testing.T) {
	w := alone(t)
	l := &locks{at: map[identity.SessionID]time.Time{}}
	n := w.node(func(c *chat.Config) { c.Locks = l })
	an, chi := n.peer("an").ready(), n.peer("chi").ready()
	conv := n.direct("an", "chi")
	for range 3 {
		chi.reach(conv, an.send(conv, "chào").Seq)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.worked) != 1 || l.worked[0] != "s-an" {
		t.Errorf("work was noted in %v", l.worked)
	}
}
