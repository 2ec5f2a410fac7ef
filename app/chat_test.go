package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"commsd/app/apptest"
	"commsd/internal/testengine"
	"commsd/internal/testpeer/chatpeer"
)

// official is somebody signed in at a node with an open chat socket.
type official struct {
	*chatpeer.Peer
	name   string
	client *http.Client
	person string
	done   chan error
}

// join signs login in and connects a chat peer that ends with the test.
func join(t *testing.T, n *apptest.Node, login string) *official {
	t.Helper()
	o := &official{name: login, client: signIn(t, n, login), done: make(chan error, 1)}
	var session struct{ Person struct{ ID string } }
	_, text := send(t, o.client, "GET", n.URL+"/api/v1/sessions/current", "")
	if err := json.Unmarshal([]byte(text), &session); err != nil || session.Person.ID == "" {
		t.Fatalf("%v: %s", err, text)
	}
	o.person = session.Person.ID
	header := http.Header{"Origin": {n.URL}}
	for _, cookie := range o.client.Jar.Cookies(mustURL(t, n.URL)) {
		header.Add("Cookie", cookie.String())
	}
	socket := "ws" + strings.TrimPrefix(n.URL, "http") + "/api/v1/chat/socket"
	o.Peer = chatpeer.New(chatpeer.Config{URL: func() string { return socket }, Header: header})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { o.done <- o.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-o.done
		if err := o.Violation(); err != nil {
			t.Errorf("%s: %v", login, err)
		}
	})
	return o
}

// channel makes a channel of people and returns its id.
func channel(t *testing.T, n *apptest.Node, owner *official, others ...*official) string {
	t.Helper()
	people := []string{}
	for _, o := range others {
		people = append(people, o.person)
	}
	body, _ := json.Marshal(map[string]any{"kind": "channel", "title": "Tổ công tác liên ngành", "people": people})
	var conv struct{ ID string }
	res, text := send(t, owner.client, "POST", n.URL+"/api/v1/chat/conversations", string(body))
	if err := json.Unmarshal([]byte(text), &conv); err != nil || res.StatusCode != 201 {
		t.Fatalf("channel: %d %s", res.StatusCode, text)
	}
	return conv.ID
}

// TestNodesShareChat: officials of two agencies on two nodes talk while Redis
// works, while it is away, and once it is back: slower in between, and nothing
// is lost, doubled or reordered.
func TestNodesShareChat(t *testing.T) {
	dir := t.TempDir()
	redis := testengine.Redis(t)
	database := testengine.Postgres(t)
	start := func(name string) *apptest.Node {
		cfg := apptest.Config(filepath.Join(dir, name))
		cfg.SecretKeyFile = filepath.Join(dir, "secret.key")
		cfg.Database.URL, cfg.Redis.URL = database, redis.URL()
		return apptest.StartConfig(t, cfg)
	}
	a, b := start("a"), start("b")
	an, chi := join(t, a, "an@noivu.g2g.example"), join(t, b, "chi@hanoi.g2g.example")
	binh, dung := join(t, b, "binh@noivu.g2g.example"), join(t, a, "dung@hanoi.g2g.example")
	everybody := []*official{an, binh, chi, dung}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	conv := channel(t, a, an, binh, chi, dung)
	history := chatpeer.NewHistory()
	total := int64(1) // the event that all joined
	talk := func(when string) {
		t.Helper()
		var talking sync.WaitGroup
		const each = 12
		for _, o := range everybody {
			talking.Go(func() {
				for i := range each {
					ack, err := o.Send(ctx, conv, fmt.Sprintf("%s %d %s", o.name, i, when))
					if err != nil {
						t.Errorf("%s, %s: %v", when, o.name, err)
						return
					}
					history.Acked(o.name, ack)
				}
			})
		}
		talking.Wait()
		total += int64(each * len(everybody))
		for _, o := range everybody {
			if err := o.Reached(ctx, conv, total); err != nil {
				t.Fatalf("%s: %s has %d of %d events: %v", when, o.name, len(o.Log(conv)), total, err)
			}
		}
	}
	talk("with Redis")
	redis.Stop(t)
	talk("without Redis")
	redis.Start(t)
	talk("with Redis again")
	for _, o := range everybody {
		for _, fault := range history.Check(o.name, o.Log(conv)) {
			t.Error(fault)
		}
		if o.Connects() != 1 {
			t.Errorf("%s needed %d connections", o.name, o.Connects())
		}
	}
}

// TestSignOutClosesTheChatSocket: with its number, on every page of the
// session, and the page does not come back by itself.
func TestSignOutClosesTheChatSocket(t *testing.T) {
	n := apptest.Start(t)
	an, chi := join(t, n, "an@noivu.g2g.example"), join(t, n, "chi@hanoi.g2g.example")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := errors.Join(an.Ready(ctx), chi.Ready(ctx)); err != nil {
		t.Fatal(err)
	}
	if res, _ := send(t, an.client, "DELETE", n.URL+"/api/v1/sessions/current", ""); res.StatusCode != 204 {
		t.Fatalf("signing out: %d", res.StatusCode)
	}
	if ended, err := an.Closed(ctx); err != nil || ended.Code != chatpeer.CodeSessionEnded {
		t.Errorf("ended with %v, %v", ended, err)
	}
	if f, err := chi.Ask(ctx, map[string]any{"type": "ping"}); err != nil || f.Type != "pong" {
		t.Errorf("another's socket: %v %s", err, f.Raw)
	}
}
