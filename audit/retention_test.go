package audit_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"commsd/audit"
	"commsd/internal/sqldb"
)

// heads reads the sizes that heads are stored of.
func (h *house) heads() (sizes []int64) {
	h.t.Helper()
	err := h.db.Read(h.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		sizes = nil
		rows, err := tx.Query(ctx, `SELECT size FROM audit_checkpoints ORDER BY size`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var n int64
			if err := rows.Scan(&n); err != nil {
				return err
			}
			sizes = append(sizes, n)
		}
		return rows.Err()
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return sizes
}

// Old heads are thinned to the last of each day of Việt Nam, those of the last
// days stay all, and what was verifiable is.
func TestHeadsAreThinned(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		sequencer := h.sequencer()
		at := func(day, hour, minute int) {
			h.clock.micros.Store(time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC).UnixMicro())
		}
		var outside [][]byte
		sign := func(day, hour, minute int) {
			at(day, hour, minute)
			h.record(1)
			h.step(sequencer)
			outside = append(outside, []byte(h.verify().Newest.Note))
		}
		sign(1, 3, 0)    // 1
		sign(1, 16, 59)  // 2: the last of 1 November in Việt Nam
		sign(1, 17, 0)   // 3: 2 November there
		sign(2, 3, 0)    // 4
		sign(2, 16, 59)  // 5: the last
		sign(4, 0, 0)    // 6: alone
		sign(7, 16, 59)  // 7: alone, the last day that is thinned
		sign(7, 17, 0)   // 8
		sign(8, 3, 0)    // 9
		sign(8, 3, 0)    // 10
		sign(15, 16, 59) // 11

		service := h.service(nil)
		at(15, 16, 59) // seven days before is 8 November, which stays whole
		removed, err := service.ThinHeads(t.Context())
		if err != nil || removed != 3 {
			t.Fatalf("%d removed, %v", removed, err)
		}
		if got, want := h.heads(), []int64{2, 5, 6, 7, 8, 9, 10, 11}; !slices.Equal(got, want) {
			t.Errorf("heads of %v are kept, want %v", got, want)
		}
		if again, err := service.ThinHeads(t.Context()); err != nil || again != 0 {
			t.Errorf("once more: %d removed, %v", again, err)
		}
		h.sound(11)
		for i, head := range outside {
			for what, edit := range map[string]func(*audit.VerifyConfig){
				"--checkpoint": func(c *audit.VerifyConfig) { c.Checkpoint = head },
				"--since":      func(c *audit.VerifyConfig) { c.Since = head },
			} {
				if r := h.verify(edit); len(r.Problems) > 0 {
					t.Errorf("%s with the head of %d events: %v", what, i+1, r.Problems)
				}
			}
		}
		// A rewritten past is found by the head that was left.
		if r := h.tampered(t, audit.Rewrite, `UPDATE audit_events SET outcome = 'ok' WHERE seq = 0`); len(r.Problems) == 0 {
			t.Error("a rewritten log passes")
		}
		// Nothing new for weeks: the newest head stays, and one goes on from it.
		at(30, 0, 0)
		if removed, err := service.ThinHeads(t.Context()); err != nil || removed != 2 { // 8 and 9 are of 8 November, as 10
			t.Errorf("later: %d removed, %v", removed, err)
		}
		h.record(1)
		h.step(sequencer)
		h.sound(12)
	})
}

// More heads than are looked at in one transaction.
func TestManyHeadsAreThinned(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		began := h.clock.now()
		var values []string
		for i := range 1201 { // four days, the last head alone on the fifth
			at := began.Add(time.Duration(i/300) * 24 * time.Hour)
			values = append(values, fmt.Sprintf("(%d, %d, '')", i+1, at.UnixMicro()))
		}
		h.exec(`INSERT INTO audit_checkpoints (size, at, note) VALUES ` + strings.Join(values, ", "))
		h.clock.advance(40 * 24 * time.Hour)
		removed, err := h.service(nil).ThinHeads(t.Context())
		if got, want := h.heads(), []int64{300, 600, 900, 1200, 1201}; err != nil || removed != 1196 || !slices.Equal(got, want) {
			t.Errorf("%d removed, heads of %v are kept, %v", removed, got, err)
		}
	})
}

// On SQLite nobody else can hold the lease: one that stands there at the start
// is a killed process's, and is not waited for. On PostgreSQL it may be alive.
func TestLeaseOfAKilledProcess(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		h.record(3)
		h.step(h.sequencer()) // and is killed
		h.record(2)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // it takes what it may, drains and ends
		if err := h.service(nil).Run(ctx); err != nil {
			t.Fatal(err)
		}
		if h.db.Dialect() == sqldb.SQLite {
			h.sound(5)
			return
		}
		if r := h.verify(); r.Size != 3 || r.Backlog != 2 {
			t.Errorf("a lease that holds was taken: %+v", r)
		}
	})
}
