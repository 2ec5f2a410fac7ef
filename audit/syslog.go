package audit

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"commsd/internal/sqldb"
)

// SyslogConfig says where events are forwarded to.
type SyslogConfig struct {
	URL string // udp://host:514, tcp://host:601 or tls://host:6514; empty: nowhere
	CA  string // PEM file of the authorities that tls:// trusts; empty: the system's
}

// Validate names the key at fault.
func (c SyslogConfig) Validate() error {
	if c.URL == "" {
		if c.CA != "" {
			return errors.New("ca is set without url; set both, or neither")
		}
		return nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || !slices.Contains([]string{"udp", "tcp", "tls"}, u.Scheme) || u.Hostname() == "" || u.Port() == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" {
		return fmt.Errorf("url %q is no receiver; write one such as tls://log.example:6514, or udp:// or tcp:// with host and port", c.URL)
	}
	if c.CA != "" && u.Scheme != "tls" {
		return errors.New("ca is of use with tls:// alone; leave it empty")
	}
	return nil
}

// How often new events are looked for, how many go at once, and how long the
// receiver may take to take them.
const (
	forwardEvery = time.Second
	forwardBatch = 200
	forwardTime  = 10 * time.Second
)

// maxDatagram is the longest message over UDP, in bytes; IPv4 takes 65,507. The
// rest is cut off, as RFC 5426 section 3.2 foresees.
const maxDatagram = 65_000

// forwarder sends the events of the tree to a syslog receiver, in order. Where
// it is stands in the database, and moves on only when the receiver's side has
// acknowledged what was sent: after a break some come twice, none is missing.
// The seq in each message tells.
type forwarder struct {
	// set at construction
	s    *Service
	url  *url.URL
	tls  *tls.Config
	host string

	// Owned by run.
	line *syslogLine // nil: not connected
	away bool        // the last try failed, and that was logged
}

func (s *Service) newForwarder() (*forwarder, error) {
	u, err := url.Parse(s.cfg.Syslog.URL)
	if err != nil {
		return nil, fmt.Errorf("audit: syslog: %w", err)
	}
	f := &forwarder{s: s, url: u, tls: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}, host: "-"}
	if name, err := os.Hostname(); err == nil && printable(name, 255) {
		f.host = name
	}
	if file := s.cfg.Syslog.CA; file != "" {
		text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
		if err != nil {
			return nil, fmt.Errorf("audit.syslog.ca: cannot read the file: %w", err)
		}
		f.tls.RootCAs = x509.NewCertPool()
		if !f.tls.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("audit.syslog.ca: %s holds no certificate in PEM", file)
		}
	}
	return f, nil
}

func (f *forwarder) run(ctx context.Context) error {
	tick := time.NewTicker(forwardEvery)
	defer tick.Stop()
	defer f.hangUp()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		epoch := f.s.sequencer.lease.Load()
		if epoch == 0 {
			f.hangUp() // another node's turn
			continue
		}
		for n := forwardBatch; n == forwardBatch; {
			var err error
			if n, err = f.forward(ctx, epoch); err != nil {
				f.failed(ctx, err)
				break
			}
			if n > 0 && f.away {
				f.away = false
				f.s.log.InfoContext(ctx, "audit: the syslog receiver takes events again")
			}
		}
	}
}

func (f *forwarder) failed(ctx context.Context, err error) {
	f.hangUp()
	if !f.away && ctx.Err() == nil && !errors.Is(err, errLostLease) {
		f.away = true
		f.s.log.WarnContext(ctx, "audit: the syslog receiver does not take events; they wait for it", "err", err)
	}
}

// forward sends the next events and tells how many they were.
func (f *forwarder) forward(ctx context.Context, epoch int64) (int, error) {
	var from int64
	var entries []Entry
	err := f.s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return holding(ctx, tx, epoch, func(size int64) error {
			var cursor sql.NullInt64
			entries = nil
			if err := tx.QueryRow(ctx, `SELECT forwarded FROM audit_sequencer WHERE id = 1`).Scan(&cursor); err != nil {
				return err
			}
			from = cursor.Int64
			if !cursor.Valid { // switched on just now: what was before is in the log, and in exports
				_, err := tx.Exec(ctx, `UPDATE audit_sequencer SET forwarded = $1 WHERE id = 1`, size)
				return err
			}
			var err error
			entries, err = queryEntries(ctx, tx, leavesQuery, []any{from, min(from+forwardBatch, size)})
			return err
		})
	})
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	if f.line == nil {
		if f.line, err = f.dial(ctx); err != nil {
			return 0, err
		}
	}
	if err := f.line.send(f.messages(entries)); err != nil {
		return 0, err
	}
	err = f.s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return holding(ctx, tx, epoch, func(int64) error {
			_, err := tx.Exec(ctx, `UPDATE audit_sequencer SET forwarded = $1 WHERE id = 1`, from+int64(len(entries)))
			return err
		})
	})
	return len(entries), err
}

// messages are entries as RFC 5424 messages.
func (f *forwarder) messages(entries []Entry) [][]byte {
	list := make([][]byte, 0, len(entries))
	for i := range entries {
		list = append(list, syslogMessage(f.host, &entries[i]))
	}
	return list
}

// syslogMessage is e as RFC 5424 section 6 has it: facility 13 (log audit), the
// action as MSGID, and the event of the export format as MSG.
func syslogMessage(host string, e *Entry) []byte {
	const facility, notice, warning = 13, 5, 4
	severity := notice
	if e.Outcome != OK {
		severity = warning
	}
	id := string(e.Action)
	if !printable(id, 32) {
		id = "-"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "<%d>1 %s %s commsd - %s [commsd@32473 seq=\"%d\" outcome=\"%s\"] ", facility*8+severity,
		e.At.UTC().Format("2006-01-02T15:04:05.000000Z"), host, id, e.Seq, e.Outcome)
	text := json.NewEncoder(&b)
	text.SetEscapeHTML(false)
	if err := text.Encode(exported(e)); err != nil {
		b.WriteString("{}") // cannot be: strings and numbers alone
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// printable tells whether s is 1 to n characters of PRINTUSASCII (RFC 5424
// section 6).
func printable(s string, n int) bool {
	if s == "" || len(s) > n {
		return false
	}
	for i := range len(s) {
		if s[i] < 33 || s[i] > 126 {
			return false
		}
	}
	return true
}

func (f *forwarder) hangUp() {
	if f.line != nil {
		f.line.close()
		f.line = nil
	}
}

func (f *forwarder) dial(ctx context.Context) (*syslogLine, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardTime)
	defer cancel()
	network := f.url.Scheme
	if network == "tls" {
		network = "tcp"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, f.url.Host)
	if err != nil {
		return nil, fmt.Errorf("audit: syslog: %w", err)
	}
	l := &syslogLine{conn: conn, raw: conn, datagrams: network == "udp", gone: make(chan struct{})}
	if f.url.Scheme == "tls" {
		secured := tls.Client(conn, f.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = conn.Close() // the handshake's error is the one to tell
			return nil, fmt.Errorf("audit: syslog: %w", err)
		}
		l.conn = secured
	}
	if l.datagrams {
		return l, nil
	}
	l.reading.Go(func() {
		defer close(l.gone)
		_, _ = io.Copy(io.Discard, l.conn) // a receiver says nothing; this ends when it leaves
	})
	return l, nil
}

// syslogLine is a connection to a receiver.
type syslogLine struct {
	conn      net.Conn
	raw       net.Conn // below TLS
	datagrams bool
	gone      chan struct{} // closed when the receiver has left; never for datagrams
	reading   sync.WaitGroup
}

func (l *syslogLine) close() {
	_ = l.conn.Close() // nothing more is sent
	l.reading.Wait()
}

// send returns once the receiver's side has acknowledged list; one datagram
// each is all that UDP can (RFC 5426).
func (l *syslogLine) send(list [][]byte) error {
	if err := l.conn.SetWriteDeadline(time.Now().Add(forwardTime)); err != nil {
		return err
	}
	if l.datagrams {
		for _, m := range list {
			// A longer one would never leave, and hold up all behind it.
			if _, err := l.conn.Write([]byte(clip(string(m), maxDatagram))); err != nil {
				return fmt.Errorf("audit: syslog: %w", err)
			}
		}
		return nil
	}
	var frames []byte
	for _, m := range list { // octet counting: RFC 6587 section 3.4.1, RFC 5425 section 4.3
		frames = strconv.AppendInt(frames, int64(len(m)), 10)
		frames = append(frames, ' ')
		frames = append(frames, m...)
	}
	if _, err := l.conn.Write(frames); err != nil {
		return fmt.Errorf("audit: syslog: %w", err)
	}
	return l.acknowledged()
}

// acknowledged waits until the kernel holds nothing that the other side has not
// acknowledged. The protocol itself has no answer.
func (l *syslogLine) acknowledged() error {
	limit := time.NewTimer(forwardTime)
	defer limit.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		waiting, err := unacknowledged(l.raw)
		if err != nil {
			return fmt.Errorf("audit: syslog: %w", err)
		}
		select {
		case <-l.gone:
			return errors.New("audit: syslog: the receiver closed the connection")
		default:
		}
		if waiting == 0 {
			return nil
		}
		select {
		case <-l.gone:
		case <-again.C:
		case <-limit.C:
			return errors.New("audit: syslog: the receiver acknowledges nothing")
		}
	}
}
