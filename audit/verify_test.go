package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"commsd/audit"
	"commsd/internal/sqldb"
)

// Every way to change a log is found, and the first row that differs is named.
func TestTamperingIsFoundAndNamed(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		s := h.sequencer()
		for range 4 { // heads of 5, 10, 15, 20 events
			h.record(5)
			h.step(s)
		}
		h.sound(20)
		events := list(t, h.db, h.log, audit.Filter{})
		outside := []byte(h.verify().Newest.Note)
		for _, c := range []struct {
			name   string
			change []string
			leaf   int64
			what   string // of the first problem
			only   bool   // there is no other
		}{
			{"a field", []string{`UPDATE audit_events SET outcome = 'ok' WHERE seq = 7`}, 7, "fields are not those", true},
			{"the time", []string{`UPDATE audit_events SET at = at + 1 WHERE seq = 0`}, 0, "fields are not those", true},
			{"a payload", []string{`UPDATE audit_payloads SET address = '203.0.113.9' WHERE event_id = '` + events[12].ID + `'`}, 12, "payload (address, detail) is not", true},
			{"a detail", []string{`UPDATE audit_payloads SET detail = '{"reason":"khác"}' WHERE event_id = '` + events[13].ID + `'`}, 13, "payload (address, detail) is not", true},
			{"a removed payload", []string{`DELETE FROM audit_payloads WHERE event_id = '` + events[3].ID + `'`}, 3, "time to be erased had not come", true},
			{"a removed row", []string{`DELETE FROM audit_events WHERE seq = 9`}, 9, "its row was removed", true},
			{"two rows swapped", []string{`UPDATE audit_events SET seq = 100 WHERE seq = 4`, `UPDATE audit_events SET seq = 4 WHERE seq = 6`, `UPDATE audit_events SET seq = 6 WHERE seq = 100`},
				4, "not the event that the tree has in this place", false},
			{"a leaf's hash", []string{`UPDATE audit_hashes SET hash = (SELECT hash FROM audit_hashes WHERE idx = 1) WHERE idx = 0`}, 0, "not the event that the tree has in this place", false},
			{"a hash between", []string{`UPDATE audit_hashes SET hash = (SELECT hash FROM audit_hashes WHERE idx = 0) WHERE idx = 2`}, 0, "the tree's hash over leaves 0 to 1", false},
			{"a removed hash", []string{`DELETE FROM audit_hashes WHERE idx = 0`}, 0, "the tree has no hash of it", true},
			{"the tail", []string{`DELETE FROM audit_events WHERE seq >= 17`}, 17, "its row was removed", false},
			{"the tail, told", []string{`DELETE FROM audit_events WHERE seq >= 17`, `UPDATE audit_sequencer SET size = 17`}, 17, "the tail was cut off", true},
			{"a row beyond", []string{`UPDATE audit_sequencer SET size = 19`}, 19, "a place beyond the tree's 19 leaves", false},
			{"another's signature", []string{`UPDATE audit_checkpoints SET note = (SELECT note FROM audit_checkpoints WHERE size = 5) WHERE size = 10`}, -1, "was signed of 5", true},
			{"no signature", []string{`UPDATE audit_checkpoints SET note = 'g2g.example/audit' WHERE size = 10`}, -1, "has no valid signature", true},
		} {
			t.Run(c.name, func(t *testing.T) {
				r := h.tampered(t, nil, c.change...)
				if len(r.Problems) == 0 || r.Problems[0].Leaf != c.leaf || !strings.Contains(r.Problems[0].What, c.what) {
					t.Errorf("%+v; want leaf %d, %q first", r.Problems, c.leaf, c.what)
				}
				if c.leaf >= 0 && slices.Contains([]string{"a field", "a payload", "two rows swapped"}, c.name) && r.Problems[0].ID == "" {
					t.Error("the row is not named")
				}
				if c.only && len(r.Problems) != 1 {
					t.Errorf("one change is told as several: %+v", r.Problems)
				}
			})
		}
		t.Run("rewritten without the key", func(t *testing.T) {
			r := h.tampered(t, audit.Rewrite, `UPDATE audit_events SET outcome = 'ok' WHERE seq = 7`)
			// Rows and tree fit each other; the first head over leaf 7 does not.
			if len(r.Problems) != 3 || r.Problems[0].Leaf != 5 || !strings.Contains(r.Problems[0].What, "the head signed of 10 events") {
				t.Errorf("%+v", r.Problems)
			}
		})
		t.Run("the tail with its heads", func(t *testing.T) {
			cut := []string{`DELETE FROM audit_events WHERE seq >= 10`, `DELETE FROM audit_hashes WHERE idx >= 18`,
				`DELETE FROM audit_checkpoints WHERE size > 10`, `UPDATE audit_sequencer SET size = 10`}
			if r := h.tampered(t, nil, cut...); len(r.Problems) != 0 {
				t.Errorf("a shorter log is a log; only who kept a head knows: %+v", r.Problems)
			}
			r := h.tampered(t, nil, append(cut, "with "+string(outside))...)
			if len(r.Problems) != 1 || r.Problems[0].Leaf != 10 || !strings.Contains(r.Problems[0].What, "a head of 20 events was signed") {
				t.Errorf("with a head kept outside: %+v", r.Problems)
			}
		})
		h.sound(20) // every change was undone
	})
}

// tampered verifies a log after statements and rewrite were done to it, and
// undoes them. A last statement "with …" is a head kept outside.
func (h *house) tampered(t *testing.T, rewrite func(context.Context, *sqldb.Tx) error, statements ...string) *audit.VerifyReport {
	t.Helper()
	var outside []byte
	if last := statements[len(statements)-1]; strings.HasPrefix(last, "with ") {
		outside, statements = []byte(strings.TrimPrefix(last, "with ")), statements[:len(statements)-1]
	}
	h.save()
	defer h.restore()
	for _, q := range statements {
		h.exec(q)
	}
	if rewrite != nil {
		if err := h.db.Write(t.Context(), rewrite); err != nil {
			t.Fatal(err)
		}
	}
	return h.verify(func(c *audit.VerifyConfig) { c.Checkpoint = outside })
}

var auditTables = []string{"audit_events", "audit_payloads", "audit_hashes", "audit_checkpoints", "audit_sequencer"}

func (h *house) save() {
	h.t.Helper()
	for _, table := range auditTables {
		h.exec(`CREATE TABLE saved_` + table + ` AS SELECT * FROM ` + table + ` WHERE 1 = 0`)
		h.exec(`INSERT INTO saved_` + table + ` SELECT * FROM ` + table)
	}
}

func (h *house) restore() {
	h.t.Helper()
	for _, table := range auditTables {
		h.exec(`DELETE FROM ` + table)
		h.exec(`INSERT INTO ` + table + ` SELECT * FROM saved_` + table)
		h.exec(`DROP TABLE saved_` + table)
	}
}

func TestVerifySince(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		s := h.sequencer()
		h.record(13)
		h.step(s)
		since := []byte(h.verify().Newest.Note)
		h.record(8)
		h.step(s)
		from := func(c *audit.VerifyConfig) { c.Since = since }
		if r := h.verify(from); r.Checked != 8 || len(r.Problems) > 0 || r.Newest.Size != 21 {
			t.Errorf("since 13: %+v", r)
		}
		if r := h.tampered(t, nil, `UPDATE audit_hashes SET hash = (SELECT hash FROM audit_hashes WHERE idx = 0) WHERE idx = 14`); len(r.Problems) == 0 {
			t.Error("the test changes no hash that matters")
		}
		h.save()
		h.exec(`UPDATE audit_hashes SET hash = (SELECT hash FROM audit_hashes WHERE idx = 0) WHERE idx = 14`) // over leaves 0 to 7
		r := h.verify(from)
		h.restore()
		if r.Checked != 21 || len(r.Problems) < 2 || !strings.Contains(r.Problems[0].What, "does not continue the head of 13 events of --since") {
			t.Errorf("a tree that does not lead to --since: %+v", r)
		}
		_, err := audit.Verify(t.Context(), audit.VerifyConfig{DB: h.db, Secrets: h.secrets, Since: []byte("nonsense")})
		if err == nil || !strings.Contains(err.Error(), "--since") {
			t.Errorf("nonsense for --since: %v", err)
		}
	})
}

// A stranger with an export and the key's text verifies it.
func TestExportsVerifyAwayFromTheDatabase(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		h.record(1200) // more than two chunks
		h.step(h.sequencer())
		report := h.sound(1200)
		key, err := note.NewVerifier(report.Key)
		if err != nil {
			t.Fatal(err)
		}
		service := h.service(nil)
		whole, part := &bytes.Buffer{}, &bytes.Buffer{}
		if n, err := service.ExportAll(t.Context(), audit.Filter{}, whole); n != 1200 || err != nil {
			t.Fatal(n, err)
		}
		object := event.Object
		object.ID = "m7"
		if n, err := service.ExportAll(t.Context(), audit.Filter{Object: object, Action: event.Action}, part); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		many := &bytes.Buffer{}
		if n, err := service.ExportAll(t.Context(), audit.Filter{Action: event.Action}, many); n != 1200 || err != nil {
			t.Fatal(n, err)
		}
		for name, c := range map[string]struct {
			text     []byte
			events   int64
			complete bool
		}{"whole": {whole.Bytes(), 1200, true}, "one": {part.Bytes(), 1, false}, "many": {many.Bytes(), 1200, false}} {
			r, err := audit.VerifyExport(bytes.NewReader(c.text), key)
			if err != nil || r.Events != c.events || r.Complete != c.complete || r.Checkpoint.Size != 1200 {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		}
		// What is changed in a file is found.
		lines := func(b []byte) [][]byte { return bytes.SplitAfter(bytes.TrimSpace(b), []byte("\n")) }
		join := func(l [][]byte) []byte { return bytes.Join(l, nil) }
		w, p := lines(whole.Bytes()), lines(many.Bytes())
		for name, text := range map[string][]byte{
			"a field":        bytes.Replace(whole.Bytes(), []byte(`"outcome":"denied"`), []byte(`"outcome":"ok"`), 1),
			"a field, part":  bytes.Replace(many.Bytes(), []byte(`"outcome":"denied"`), []byte(`"outcome":"ok"`), 1),
			"a detail":       bytes.Replace(whole.Bytes(), []byte("phòng chờ"), []byte("phòng họp"), 1),
			"a removed line": join(slices.Concat(w[:5], w[6:])),
			"no end":         join(w[:len(w)-1]),
			"cut, part":      join(slices.Concat(p[:5], p[len(p)-1:])),
			"no head":        bytes.Replace(whole.Bytes(), []byte(`"size":1200`), []byte(`"size":1199`), 1),
			"another key":    bytes.ReplaceAll(whole.Bytes(), []byte(`— g2g.example/audit `), []byte(`— g2g.example/audit x`)),
			"empty":          nil,
			"no JSON":        []byte("{\n"),
		} {
			if r, err := audit.VerifyExport(bytes.NewReader(text), key); err == nil {
				t.Errorf("%s is not found: %+v", name, r)
			}
		}
		var header struct{ Key string }
		if err := json.Unmarshal(w[0], &header); err != nil || header.Key != report.Key {
			t.Errorf("the header's key is %q: %v", header.Key, err)
		}
		// Exports are in the log themselves.
		if got := list(t, h.db, h.log, audit.Filter{Action: audit.ActionExport}); len(got) != 3 || got[0].Detail["by"] != "command line" {
			t.Errorf("%d exports are recorded: %+v", len(got), got)
		}
	})
}
