package owner

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"commsd/internal/sqldb"
)

// dbNow is the database's clock in microseconds. It goes on within a
// transaction, unlike now().
const dbNow = `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`

// keepLeft is how long the epoch of a room that nobody is in is kept.
const keepLeft = 24 * time.Hour

// insertNode makes a node known, and forgets the one it was before.
func insertNode(ctx context.Context, db *sqldb.DB, id, before, address string, lease time.Duration) error {
	err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM signaling_nodes WHERE id = $1`, before); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO signaling_nodes (id, address, expires_at) VALUES ($1, $2, `+dbNow+` + $3)`, id, address, lease.Microseconds())
		return err
	})
	if err != nil {
		return fmt.Errorf("owner: make the node known: %w", err)
	}
	return nil
}

// renewNode prolongs a lease. It reports false for one that has ended, which
// stays so: somebody may have taken the rooms.
func renewNode(ctx context.Context, db *sqldb.DB, id string, lease time.Duration) (bool, error) {
	var n int64
	err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		res, err := tx.Exec(ctx, `UPDATE signaling_nodes SET expires_at = `+dbNow+` + $1 WHERE id = $2 AND expires_at > `+dbNow, lease.Microseconds(), id)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	if err != nil {
		return false, fmt.Errorf("owner: renew the lease: %w", err)
	}
	return n == 1, nil
}

// deleteNode gives up all rooms of a node, and its lease.
func deleteNode(ctx context.Context, db *sqldb.DB, id string) error {
	err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE signaling_rooms SET node = '', left_at = `+dbNow+` WHERE node = $1`, id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM signaling_nodes WHERE id = $1`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("owner: give up the lease: %w", err)
	}
	return nil
}

// claim is what takeRoom found.
type claim struct {
	epoch   int64  // of the room that is ours now; 0: it is another's
	node    string // whose it is, or the dead one whose it was; "": nobody
	address string // of the other
}

// takeRoom makes a room id's that is nobody's or a dead node's. Its caller is
// the only one of its node to ask about this room, so a row that says id
// already stands for an answer that got lost.
func takeRoom(ctx context.Context, db *sqldb.DB, room, id string) (claim, error) {
	var c claim
	err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		c = claim{}
		err := tx.QueryRow(ctx, `INSERT INTO signaling_rooms (room, node, epoch, left_at) VALUES ($1, '', 0, 0)
			ON CONFLICT (room) DO UPDATE SET epoch = signaling_rooms.epoch RETURNING node`, room).Scan(&c.node) // an update that only locks
		if err != nil {
			return err
		}
		if c.node == id {
			c.node = ""
		}
		if c.node != "" {
			// Burying it waits for a renewal that is under way, and makes one that
			// comes later fail. Only looking would do neither.
			if _, err := tx.Exec(ctx, `DELETE FROM signaling_nodes WHERE id = $1 AND expires_at <= `+dbNow, c.node); err != nil {
				return err
			}
			err := tx.QueryRow(ctx, `SELECT address FROM signaling_nodes WHERE id = $1`, c.node).Scan(&c.address)
			if !errors.Is(err, sql.ErrNoRows) {
				return err // it lives, or the database failed
			}
		}
		return tx.QueryRow(ctx, `UPDATE signaling_rooms SET node = $1, epoch = epoch + 1, left_at = 0 WHERE room = $2 RETURNING epoch`, id, room).Scan(&c.epoch)
	})
	if err != nil {
		return claim{}, fmt.Errorf("owner: take a room: %w", err)
	}
	return c, nil
}

// leaveRoom makes a room nobody's. Who does not hold this epoch any more
// changes nothing.
func leaveRoom(ctx context.Context, db *sqldb.DB, room, id string, epoch int64) error {
	err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE signaling_rooms SET node = '', left_at = `+dbNow+` WHERE room = $1 AND node = $2 AND epoch = $3`, room, id, epoch)
		return err
	})
	if err != nil {
		return fmt.Errorf("owner: leave a room: %w", err)
	}
	return nil
}

// findRoom tells which living node a room is on; both are empty for none.
func findRoom(ctx context.Context, db *sqldb.DB, room string) (node, address string, err error) {
	err = db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		err := tx.QueryRow(ctx, `SELECT n.id, n.address FROM signaling_rooms r JOIN signaling_nodes n ON n.id = r.node
			WHERE r.room = $1 AND n.expires_at > `+dbNow, room).Scan(&node, &address)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return "", "", fmt.Errorf("owner: find a room: %w", err)
	}
	return node, address, nil
}

// listNodes returns the addresses of the living nodes by their ids.
func listNodes(ctx context.Context, db *sqldb.DB) (nodes map[string]string, err error) {
	err = db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		nodes, err = ReadNodes(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("owner: list the nodes: %w", err)
	}
	return nodes, nil
}

// ReadNodes is what commsd doctor reads, on PostgreSQL: the addresses of the
// living nodes by their ids, empty ones of those that others cannot reach.
func ReadNodes(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
	nodes := map[string]string{}
	rows, err := tx.Query(ctx, `SELECT id, address FROM signaling_nodes WHERE expires_at > `+dbNow)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, address string
		if err := rows.Scan(&id, &address); err != nil {
			return nil, err
		}
		nodes[id] = address
	}
	return nodes, rows.Err()
}

// sweep buries the dead, frees their rooms, and forgets rooms that were left
// long ago.
func sweep(ctx context.Context, db *sqldb.DB) error {
	err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM signaling_nodes WHERE expires_at <= `+dbNow)
		return err
	})
	if err != nil {
		return fmt.Errorf("owner: bury nodes: %w", err)
	}
	var dead []string
	err = db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		rows, err := tx.Query(ctx, `SELECT DISTINCT node FROM signaling_rooms WHERE node <> '' AND NOT EXISTS (SELECT 1 FROM signaling_nodes n WHERE n.id = node)`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			dead = append(dead, id)
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("owner: find rooms of the dead: %w", err)
	}
	// A node's row comes before its rooms and its id never comes again, so these
	// stay dead.
	for _, id := range dead {
		if err := deleteNode(ctx, db, id); err != nil {
			return err
		}
	}
	err = db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM signaling_rooms WHERE node = '' AND left_at <= `+dbNow+` - $1`, keepLeft.Microseconds())
		return err
	})
	if err != nil {
		return fmt.Errorf("owner: forget rooms: %w", err)
	}
	return nil
}
