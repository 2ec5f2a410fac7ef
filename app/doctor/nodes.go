package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"slices"

	"commsd/internal/secret"
	"commsd/internal/sqldb"
	"commsd/internal/tlscert"
	"commsd/signaling/owner"
)

// nodes are those that live on this PostgreSQL.
type nodes struct {
	addresses map[string]string // by id
	key       []byte            // by which they know each other
	err       error             // why they are not known
}

func (d *Doctor) readNodes(ctx context.Context, tx *sqldb.Tx) {
	n := &d.nodes
	if n.addresses, n.err = owner.ReadNodes(ctx, tx); n.err == nil && len(n.addresses) > 0 {
		n.key, n.err = secret.Peek(ctx, tx, d.keyFile(), tlscert.PeersSecret)
	}
}

// peeked is a secret that was read.
type peeked []byte

func (p peeked) Get(context.Context, string, func() ([]byte, error)) ([]byte, error) {
	if len(p) == 0 {
		return nil, errors.New("it is not there")
	}
	return p, nil
}

// checkNodes connects to the other nodes as this one does when it leads people
// to their meetings.
func (d *Doctor) checkNodes(ctx context.Context) {
	const check = "other nodes"
	own := d.cfg.Cluster.Advertise
	if own == "" {
		own = d.cfg.Cluster.Listen
	}
	others := maps.Clone(d.nodes.addresses)
	left := d.serves(ctx) // one of them is this node
	maps.DeleteFunc(others, func(_, address string) bool {
		ours := left && address == own
		left = left && !ours
		return ours
	})
	switch {
	case d.report.Dialect != sqldb.PostgreSQL || d.report.Schema < d.report.Known:
		return // it is alone, or not known yet
	case d.nodes.err != nil:
		d.warn(check, "they cannot be asked for: "+oneLine(d.nodes.err), "run this as the user commsd runs as, with the same configuration")
		return
	case own == "" && len(others) > 0:
		d.fail(check, "cluster.listen is empty, and other nodes serve on this database", "set cluster.listen on every node: without it nobody is led to this one's meetings")
		return
	case len(others) == 0:
		d.skip(check, "no other node serves on this database")
		return
	}
	peers, err := tlscert.Peers(ctx, peeked(d.nodes.key))
	if err != nil {
		d.warn(check, oneLine(err), "start commsd; then this asks the other nodes")
		return
	}
	for _, id := range slices.Sorted(maps.Keys(others)) {
		d.checkNode(ctx, id, others[id], peers)
	}
}

func (d *Doctor) checkNode(ctx context.Context, id, address string, peers *tls.Config) {
	if address == "" {
		d.fail("node "+id, "it names no address, so nobody is led to its meetings", "set cluster.listen in its configuration")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: peers}).DialContext(ctx, "tcp", address)
	if err != nil {
		d.fail("node "+address, "it cannot be reached: "+oneLine(err), "open "+address+" from this machine, and see that both nodes have the same secret_key_file")
		return
	}
	_ = conn.Close() // nothing is asked of it
	d.ok("node "+address, "answers")
}
