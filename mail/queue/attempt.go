package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
}

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

// attempt tries every pending recipient of it once and settles the outcome.
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
	if err := q.settle(ctx, it, results); err != nil {
		q.cfg.Log.ErrorContext(ctx, "the outcome of an attempt could not be noted; the item will be tried again", "item", it.id, "err", err)
	}
}

// send groups the recipients by where they go and sends to each group.
func (q *Queue) send(ctx context.Context, it work) []result {
	if q.cfg.Smarthost != "" {
		return q.toHosts(ctx, it, it.to, []string{q.cfg.Smarthost})
	}
	groups, order := map[string][]string{}, []string(nil)
	for _, to := range it.to {
		d := route.DomainOf(to)
		if groups[d] == nil {
			order = append(order, d)
		}
		groups[d] = append(groups[d], to)
	}
	var out []result
	for _, d := range order {
		hosts, err := q.hosts(ctx, d)
		if err != nil {
			for _, to := range groups[d] {
				out = append(out, temporary(to, d, err))
			}
			continue
		}
		out = append(out, q.toHosts(ctx, it, groups[d], hosts)...)
	}
	return out
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
// is told of in the same transaction: either both are durable or neither.
func (q *Queue) settle(ctx context.Context, it work, results []result) error {
	now := q.cfg.Now()
	expired := !now.Before(it.expires)
	left := false
	var failed []result
	for i := range results {
		r := &results[i]
		if r.state == Pending && expired {
			r.state, r.answer = Failed, "gave up after "+q.cfg.Lifetime.String()+"; last: "+r.answer
			if r.enhanced == "" || r.enhanced[0] != '5' {
				r.enhanced = "4.4.7" // delivery time expired
			}
		}
		switch r.state {
		case Pending:
			left = true
			q.attempts.WithLabelValues("again").Inc()
		case Failed:
			failed = append(failed, *r)
			q.attempts.WithLabelValues("failed").Inc()
		case Sent:
			q.attempts.WithLabelValues("sent").Inc()
		}
		q.cfg.Log.InfoContext(ctx, "mail for outside", "item", it.id, "state", r.state, "remote", r.remote, "code", r.code, "enhanced", r.enhanced, "answer", r.answer)
	}
	bounce, to, err := q.bounce(ctx, it, failed, now)
	if err != nil {
		return err
	}
	return q.cfg.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		state, next := "done", now
		if left {
			state, next = "active", now.Add(q.backoff(it.attempts+1))
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
