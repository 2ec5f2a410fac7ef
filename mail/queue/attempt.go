package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/emersion/go-smtp"

	"commsd/internal/sqldb"
	"commsd/mail/route"
	"commsd/mail/store"
)

// State is where a recipient stands.
type State string

// The states.
const (
	Pending State = "pending"
	Sent    State = "sent"
	Failed  State = "failed"
)

// result is what one attempt came to for one recipient.
type result struct {
	recipient string
	state     State
	code      int
	enhanced  string
	answer    string
	remote    string
	waits     bool // the attempt ended before its turn; the rest is of an earlier one
}

// untried says that no attempt has come to r yet.
func (r result) untried() bool { return r.code == 0 && r.answer == "" }

func temporary(to, remote string, err error) result {
	return answered(to, remote, err, Pending)
}

// answered makes a result of err: an SMTP answer decides by its first digit,
// anything else leaves the recipient otherwise.
func answered(to, remote string, err error, otherwise State) result {
	r := result{recipient: to, remote: remote, state: otherwise, answer: err.Error()}
	var se *smtp.SMTPError
	if errors.As(err, &se) {
		r.code, r.answer = se.Code, se.Message
		if e := se.EnhancedCode; e[0] > 0 {
			r.enhanced = fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])
		}
		r.state = Pending
		if se.Code >= 500 && se.Code < 600 {
			r.state = Failed
		}
	}
	if len(r.answer) > 500 {
		r.answer = r.answer[:500]
	}
	r.answer = printable(r.answer)
	return r
}

func printable(s string) string {
	out := []byte(s)
	for i, c := range out {
		if c < ' ' || c > '~' {
			out[i] = '?'
		}
	}
	return string(out)
}

// attempt tries every pending recipient of it once, as far as the time goes,
// and settles the outcome.
func (q *Queue) attempt(ctx context.Context, it work) {
	// The attempt ends well before the lease, or another node might begin.
	limited, cancel := context.WithTimeout(ctx, q.cfg.Lease*2/3)
	defer cancel()
	results := q.send(limited, it)
	if ctx.Err() != nil {
		// Stopping. What was sent must still be noted, or it is sent twice.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
	}
	err := q.guard(it.id, func() error { return q.settle(ctx, it, results, true) })
	if errors.Is(err, errDefect) {
		// The writing of the report may be at fault. To tell nobody is bad; to
		// send again, for ever, what was sent is worse.
		err = q.guard(it.id, func() error { return q.settle(ctx, it, results, false) })
	}
	if err != nil {
		q.cfg.Log.ErrorContext(ctx, "the outcome of an attempt could not be noted; the item will be tried again", "item", it.id, "err", err)
	}
}

// send groups the recipients by where they go and sends to each group. Dead
// domains may use up all the time: as those that have waited longest come
// first, they then stand in the way of none but themselves.
func (q *Queue) send(ctx context.Context, it work) []result {
	groups, order := map[string][]result{}, []string(nil)
	for _, to := range it.to {
		d := ""
		if q.cfg.Smarthost == "" {
			d = route.DomainOf(to.recipient)
		}
		if groups[d] == nil {
			order = append(order, d)
		}
		groups[d] = append(groups[d], to)
	}
	var out []result
	for _, d := range order {
		if ctx.Err() != nil {
			for _, r := range groups[d] {
				r.waits = true
				out = append(out, r)
			}
			continue
		}
		var to []string
		for _, r := range groups[d] {
			to = append(to, r.recipient)
		}
		var results []result
		err := q.guard(it.id, func() (err error) {
			results, err = q.toDomain(ctx, it, d, to)
			return err
		})
		if errors.Is(err, errDefect) {
			err = errors.New("a fault on this side") // for the sender to read
		}
		if err != nil {
			results = all(to, d, err)
		}
		out = append(out, results...)
	}
	return out
}

// toDomain sends to the recipients of one domain; to the smarthost, if there is
// one. The error is the same for all of them.
func (q *Queue) toDomain(ctx context.Context, it work, domain string, to []string) ([]result, error) {
	if q.cfg.Smarthost != "" {
		return q.toHosts(ctx, it, to, []string{q.cfg.Smarthost}), nil
	}
	hosts, err := q.hosts(ctx, domain)
	if err != nil {
		return nil, err
	}
	return q.toHosts(ctx, it, to, hosts), nil
}

// open gives the bytes of an item: trace, then content.
func (q *Queue) open(ctx context.Context, it work) (io.ReadCloser, error) {
	if it.ref.SHA256 == "" {
		return io.NopCloser(io.MultiReader(bytes.NewReader(it.trace), bytes.NewReader(it.body))), nil
	}
	f, err := q.cfg.Store.OpenBlob(ctx, it.ref)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(it.trace), f), f}, nil
}

// settle writes down what an attempt came to. A recipient that failed for good
// is told of in the same transaction: either both are durable or neither. That
// is left out where report is false.
func (q *Queue) settle(ctx context.Context, it work, results []result, report bool) error {
	now := q.cfg.Now()
	expired := !now.Before(it.expires)
	results = slices.Clone(results) // it may be called again
	left, untried := false, false
	var failed []result
	for i := range results {
		r := &results[i]
		if r.state == Pending && expired {
			if r.untried() {
				r.answer = "its turn did not come"
			}
			r.state, r.answer = Failed, "gave up after "+q.cfg.Lifetime.String()+"; last: "+r.answer
			if r.enhanced == "" || r.enhanced[0] != '5' {
				r.enhanced = "4.4.7" // delivery time expired
			}
		}
		switch r.state {
		case Pending:
			left = true
			if r.waits {
				untried = untried || r.untried()
				continue // nothing came of it
			}
			q.attempts.WithLabelValues("again").Inc()
		case Failed:
			failed = append(failed, *r)
			q.attempts.WithLabelValues("failed").Inc()
		case Sent:
			q.attempts.WithLabelValues("sent").Inc()
		}
		q.cfg.Log.InfoContext(ctx, "mail for outside", "item", it.id, "state", r.state, "remote", r.remote, "code", r.code, "enhanced", r.enhanced, "answer", r.answer)
	}
	var bounce *store.Content
	var to store.Delivery
	if report {
		var err error
		if bounce, to, err = q.bounce(ctx, it, failed, now); err != nil {
			return err
		}
	}
	return q.cfg.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		state, next := "done", now
		if left {
			n := it.attempts + 1
			if untried {
				n = 1 // what has never been tried need not wait for what has
			}
			state, next = "active", now.Add(q.backoff(n))
			if next.After(it.expires) {
				next = it.expires
			}
		}
		res, err := tx.Exec(ctx, `UPDATE mail_queue SET state = $1, attempts = attempts + 1, next_at = $2, leased_until = 0, lease_owner = ''
			WHERE id = $3 AND lease_owner = $4`, state, next.UnixMicro(), it.id, q.node)
		if err != nil {
			return fmt.Errorf("queue: settle: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("queue: the lease of %s was lost: %w", it.id, errors.Join(err, errLeaseLost))
		}
		for _, r := range results {
			if r.waits && r.state == Pending {
				continue
			}
			if _, err := tx.Exec(ctx, `UPDATE mail_queue_recipient SET state = $1, code = $2, enhanced = $3, answer = $4, remote = $5, changed_at = $6
				WHERE queue_id = $7 AND recipient = $8`, string(r.state), r.code, r.enhanced, r.answer, r.remote, now.UnixMicro(), it.id, r.recipient); err != nil {
				return fmt.Errorf("queue: settle recipient: %w", err)
			}
		}
		if bounce == nil {
			return nil
		}
		return q.cfg.Store.DeliverTx(ctx, tx, bounce, []store.Delivery{to})
	})
}

var errLeaseLost = errors.New("queue: lease lost")
