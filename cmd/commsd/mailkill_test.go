package main_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// place is where a server is that moves at every start. Any goroutine may ask.
type place struct {
	mu      sync.Mutex
	address string
	moved   chan struct{}
}

// at returns the address, and tells when it is another.
func (p *place) at() (string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.address, p.moved
}

func (p *place) move(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.moved != nil {
		close(p.moved)
	}
	p.address, p.moved = address, make(chan struct{})
}

var errDown = errors.New("nobody listens")

// deliver hands one message over to two people; nil means that the server has
// answered 250.
func deliver(ctx context.Context, address, name string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return errDown
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, "mx.example")
	if err != nil {
		return err
	}
	if err := c.Mail("x@far.example"); err != nil {
		return err
	}
	for _, to := range []string{"chi@hanoi.g2g.example", "an@noivu.g2g.example"} {
		if err := c.Rcpt(to); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	lines := 3
	if strings.HasSuffix(name, "0") {
		lines = 2000 // in a blob
	}
	if _, err := fmt.Fprintf(w, "From: x@far.example\r\nSubject: %s\r\n\r\n%send of %s\r\n", name, strings.Repeat(name+" and what it says\r\n", lines), name); err != nil {
		return err
	}
	return w.Close()
}

// TestKilledServerLosesNoMail kills the server while four others deliver to it,
// again and again: what was answered 250 is in each mailbox once and whole, and
// what was not is there for both recipients or for neither.
func TestKilledServerLosesNoMail(t *testing.T) {
	s := &server{t: t, env: environment(t.TempDir())}
	s.start()
	t.Cleanup(func() { s.kill() })
	var port25 place
	port25.move(s.address("mail.smtp_listen"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	var mu sync.Mutex
	answered := map[string]bool{} // of all that were begun
	taken := make(chan struct{}, 10_000)
	var sending sync.WaitGroup
	stop := make(chan struct{})
	for sender := range 4 {
		sending.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				name := fmt.Sprintf("mail %d-%d", sender, i)
				address, moved := port25.at()
				err := deliver(ctx, address, name)
				if errors.Is(err, errDown) {
					select {
					case <-moved:
					case <-stop:
					case <-ctx.Done():
						return
					}
					continue
				}
				mu.Lock()
				answered[name] = err == nil
				mu.Unlock()
				if err == nil {
					taken <- struct{}{}
				}
			}
		})
	}
	more := func(n int) {
		t.Helper()
		for range n {
			select {
			case <-taken:
			case <-ctx.Done():
				t.Fatalf("mail is not taken any more: %s", s.stderr.String())
			}
		}
	}
	for range 3 {
		more(25)
		s.kill()
		s.start()
		port25.move(s.address("mail.smtp_listen"))
	}
	more(25)
	close(stop)
	sending.Wait()

	imapAddress := s.address("mail.imap_listen")
	chi, an := mailbox(t, imapAddress, "chi@hanoi.g2g.example"), mailbox(t, imapAddress, "an@noivu.g2g.example")
	sure, doubtful := 0, 0
	for name, ok := range answered {
		switch {
		case ok && (chi[name] != 1 || an[name] != 1):
			t.Errorf("%s was answered 250 and is there %d and %d times", name, chi[name], an[name])
		case !ok && (chi[name] != an[name] || chi[name] > 1):
			t.Errorf("%s was not answered and is there %d and %d times", name, chi[name], an[name])
		case ok:
			sure++
		default:
			doubtful++
		}
		delete(chi, name)
	}
	if len(chi) > 0 {
		t.Errorf("nobody sent %v", chi)
	}
	if sure < 100 {
		t.Errorf("only %d messages were answered", sure)
	}
	t.Logf("%d messages were answered, %d cut off", sure, doubtful)
}

// mailbox counts the messages of an inbox by subject, and looks that each is whole.
func mailbox(t *testing.T, address, login string) map[string]int {
	t.Helper()
	c, err := imapclient.DialInsecure(address, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login(login, "commsd-demo-only").Wait(); err != nil {
		t.Fatal(err)
	}
	box, err := c.Select("INBOX", nil).Wait()
	if err != nil {
		t.Fatal(err)
	}
	text := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierText, Peek: true}
	list, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: box.NumMessages}}, &imap.FetchOptions{UID: true, Envelope: true, BodySection: []*imap.FetchItemBodySection{text}}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for i, m := range list {
		if i > 0 && m.UID <= list[i-1].UID {
			t.Errorf("UID %d after %d", m.UID, list[i-1].UID)
		}
		name := m.Envelope.Subject
		if !strings.HasSuffix(string(m.FindBodySection(text)), "end of "+name+"\r\n") {
			t.Errorf("%s is not whole", name)
		}
		out[name]++
	}
	return out
}
