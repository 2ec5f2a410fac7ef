package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"commsd/app/apptest"
	"commsd/internal/testpeer/mailpeer"
)

// TestStopInOrder: readyz fails, new work is refused, sockets are told to come
// back elsewhere, a request under way is answered, and only then the node ends.
func TestStopInOrder(t *testing.T) {
	n := apptest.Start(t)
	c := signIn(t, n, "an@noivu.g2g.example")

	header := http.Header{"Origin": {n.URL}}
	for _, cookie := range c.Jar.Cookies(mustURL(t, n.URL)) {
		header.Add("Cookie", cookie.String())
	}
	ws, res, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(n.URL, "http")+"/api/v1/chat/socket", header)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	res.Body.Close()
	if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello","id":1,"protocol":1}`)); err != nil {
		t.Fatal(err)
	}
	if _, text, err := ws.ReadMessage(); err != nil || !strings.Contains(string(text), `"welcome"`) {
		t.Fatalf("%v: %s", err, text)
	}

	// A request of which half has come when the signal does.
	body, _ := json.Marshal(map[string]string{"login": "chi@hanoi.g2g.example", "password": password})
	half := len(body) / 2
	slow, err := net.Dial("tcp", n.Addr("http.listen").String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := fmt.Fprintf(slow, "POST /api/v1/sessions HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n",
		mustURL(t, n.URL).Host, len(body)); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(slow)
	// The interim answer says that the handler reads the body now.
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%v: %q", err, line)
	}
	if _, err := answers.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Write(body[:half]); err != nil {
		t.Fatal(err)
	}

	// And a letter of which the envelope has come.
	letter := mailpeer.Dial(t, n.Addr("mail.smtp_listen").String())
	letter.Reply()
	letter.Want("EHLO far.example", "250", "MAIL FROM:<x@far.example>", "250", "RCPT TO:<chi@hanoi.g2g.example>", "250")

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		n.Stop(t)
	}()

	var told []string
	for {
		_, text, err := ws.ReadMessage()
		if err == nil {
			told = append(told, string(text))
			continue
		}
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != 4502 {
			t.Errorf("the chat socket ended with %v", err)
		}
		break
	}
	if !strings.Contains(strings.Join(told, "\n"), `"reconnect_after"`) {
		t.Errorf("the chat socket was not told when to come back: %q", told)
	}
	// The socket's end says that the stop has begun; the slow request holds it open.
	if res, text := send(t, c, "GET", "http://"+n.Addr("admin.listen").String()+"/readyz", ""); res.StatusCode != 503 || !strings.Contains(text, "stopping") {
		t.Errorf("readyz: %d %q", res.StatusCode, text)
	}
	if res, err := c.Get(n.URL + "/api/v1/info"); err == nil {
		res.Body.Close()
		if res.StatusCode != 503 {
			t.Errorf("new work is answered with %d", res.StatusCode)
		}
	}
	for _, key := range []string{"mail.smtp_listen", "mail.submission_listen", "mail.submissions_listen", "mail.imap_listen", "mail.imaps_listen"} {
		refuses(t, n, key)
	}
	letter.Want("DATA", "354", "Subject: x\r\n\r\nx\r\n.", "250", "QUIT", "221")
	if _, err := slow.Write(body[half:]); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatalf("the request under way was cut off: %v", err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != 201 {
		t.Errorf("the request under way: %d %s %v", answer.StatusCode, text, err)
	}
	select {
	case <-stopped:
	case <-ctx.Done():
		t.Fatal("the node does not end")
	}
	if _, err := net.DialTimeout("tcp", n.Addr("http.listen").String(), time.Second); err == nil {
		t.Error("the port is still open")
	}
}

// refuses waits until nobody can connect any more, which is soon.
func refuses(t *testing.T, n *apptest.Node, key string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		c, err := net.DialTimeout("tcp", n.Addr(key).String(), time.Second)
		if err != nil {
			return
		}
		_ = c.Close() // it was let in before the listener was closed
	}
	t.Errorf("%s still takes connections", key)
}
