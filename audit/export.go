package audit

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
	"commsd/internal/sqldb"
)

// exportFormat is the name of the format of docs/protocols/audit.md.
const exportFormat = "commsd-audit-export/1"

// The types of an export's lines.
const (
	lineHeader = "header"
	lineEvent  = "event"
	lineEnd    = "end"
)

// exportHeader is the first line of an export.
type exportHeader struct {
	Type       string            `json:"type"`
	Format     string            `json:"format"`
	Origin     string            `json:"origin"`
	Key        string            `json:"key"` // for convenience: who verifies has it from elsewhere
	ExportedAt time.Time         `json:"exported_at"`
	Filter     map[string]string `json:"filter"`
	Complete   bool              `json:"complete"` // every leaf below size, in order; else each event has its proof
	Size       int64             `json:"size"`
	Checkpoint string            `json:"checkpoint,omitempty"` // absent on an empty log
}

// exportEvent is the line of one event.
type exportEvent struct {
	Type        string         `json:"type"`
	Seq         int64          `json:"seq"`
	ID          string         `json:"id"`
	Time        time.Time      `json:"time"` // of at, to be read by people
	At          int64          `json:"at"`   // microseconds since 1970-01-01 UTC
	Agency      string         `json:"agency"`
	Owner       string         `json:"owner"`
	Account     string         `json:"account"`
	Person      string         `json:"person"`
	Position    string         `json:"position"`
	Action      string         `json:"action"`
	ObjectKind  string         `json:"object_kind"`
	ObjectID    string         `json:"object_id"`
	Outcome     string         `json:"outcome"`
	PayloadHash string         `json:"payload_hash"`
	Payload     *exportPayload `json:"payload"` // null: erased when its time had come
	Proof       []string       `json:"proof,omitempty"`
}

// exportPayload is what is personal in an event.
type exportPayload struct {
	Salt    string            `json:"salt"`
	Address string            `json:"address"`
	Detail  map[string]string `json:"detail"`
}

// exportEnd is the last line; an export without it was cut off.
type exportEnd struct {
	Type   string `json:"type"`
	Events int64  `json:"events"`
}

func exported(e *Entry) exportEvent {
	b64 := base64.StdEncoding.EncodeToString
	out := exportEvent{Type: lineEvent, Seq: e.Seq, ID: e.ID, Time: e.At, At: e.At.UnixMicro(), Agency: string(e.Agency), Owner: string(e.Owner),
		Account: string(e.Account), Person: string(e.Person), Position: string(e.Position), Action: string(e.Action),
		ObjectKind: e.Object.Kind, ObjectID: e.Object.ID, Outcome: e.Outcome, PayloadHash: b64(e.payloadHash)}
	if !e.Erased {
		out.Payload = &exportPayload{Salt: b64(e.salt), Address: e.Address, Detail: e.Detail}
	}
	return out
}

// exportChunk is how many events one transaction of an export reads.
const exportChunk = 500

// exporter writes one export.
type exporter struct {
	db         *sqldb.DB
	log        *Log
	filter     Filter
	checkpoint *Checkpoint
	chunk      func() error // called before each chunk is written; may be nil
}

// Export writes what f chooses of what actor may see to w as JSON lines. It is
// recorded before the first line. chunk, when not nil, is called before each
// some hundred lines.
func (s *Service) Export(ctx context.Context, actor identity.Actor, f Filter, w io.Writer, chunk func() error) (int64, error) {
	var err error
	if f.Scope, err = s.scope(ctx, actor, ActionExport, f.Agency); err != nil {
		return 0, err
	}
	return s.export(ctx, actor, f, w, chunk)
}

// ExportAll is Export by whoever has the server's files: the command line.
func (s *Service) ExportAll(ctx context.Context, f Filter, w io.Writer) (int64, error) {
	return s.export(ctx, identity.Actor{}, f, w, nil)
}

func (s *Service) export(ctx context.Context, actor identity.Actor, f Filter, w io.Writer, chunk func() error) (int64, error) {
	f.Limit, f.After, f.NewestFirst, f.Before = exportChunk, "", false, 0
	if _, _, err := listQuery(f); err != nil {
		return 0, err
	}
	k, err := s.openKeys(ctx)
	if err != nil {
		return 0, err
	}
	words := f.words()
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		detail := maps.Clone(words)
		if actor.Account == "" {
			detail["by"] = "command line"
		}
		return s.cfg.Log.Record(ctx, tx, Event{Actor: actor, Action: ActionExport, Outcome: OK,
			Object: identity.ObjectRef{Kind: "audit_log", ID: string(f.Agency)}, Owner: f.Agency, Detail: detail})
	})
	if err != nil {
		return 0, fmt.Errorf("audit: record an export: %w", err)
	}
	x := exporter{db: s.db, log: s.cfg.Log, filter: f, chunk: chunk}
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		x.checkpoint, err = newestCheckpoint(ctx, tx, k.verifier)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("audit: export: %w", err)
	}
	header := exportHeader{Type: lineHeader, Format: exportFormat, Origin: k.verifier.Name(), Key: k.public, ExportedAt: s.now().UTC(),
		Filter: words, Complete: f.Scope == nil && len(words) == 0}
	if x.checkpoint != nil {
		header.Size, header.Checkpoint = x.checkpoint.Size, x.checkpoint.Note
		x.filter.Before = header.Size
	}
	n, err := x.write(ctx, w, header)
	if err != nil {
		return n, fmt.Errorf("audit: export: %w", err)
	}
	return n, nil
}

func (x *exporter) write(ctx context.Context, w io.Writer, header exportHeader) (events int64, err error) {
	out := bufio.NewWriterSize(w, 64<<10)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	if err := lines.Encode(header); err != nil {
		return 0, err
	}
	for next := int64(0); header.Size > 0; {
		var list []exportEvent
		err := x.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			list = nil
			var entries []Entry
			var err error
			if header.Complete {
				entries, err = queryEntries(ctx, tx, leavesQuery, []any{next, min(next+exportChunk, header.Size)})
			} else {
				entries, err = x.log.List(ctx, tx, x.filter)
			}
			if err != nil || len(entries) == 0 {
				return err
			}
			x.filter.After = entries[len(entries)-1].Cursor()
			next += exportChunk
			list, err = x.proven(ctx, tx, entries, header.Complete)
			return err
		})
		if err != nil {
			return events, err
		}
		if len(list) == 0 {
			break
		}
		if x.chunk != nil {
			if err := x.chunk(); err != nil {
				return events, err
			}
		}
		for i := range list {
			if err := lines.Encode(&list[i]); err != nil {
				return events, err
			}
		}
		events += int64(len(list))
		if err := out.Flush(); err != nil {
			return events, err
		}
	}
	if err := lines.Encode(exportEnd{Type: lineEnd, Events: events}); err != nil {
		return events, err
	}
	return events, out.Flush()
}

// leavesQuery reads leaves in order; $1 is the first, $2 the first not to read.
const leavesQuery = `SELECT ` + entryColumns + ` FROM audit_events e LEFT JOIN audit_payloads p ON p.event_id = e.id
	WHERE e.seq >= $1 AND e.seq < $2 ORDER BY e.seq`

// proven makes lines of entries. Those of a part of the log each have the proof
// that the signed tree holds them; the whole log proves itself.
func (x *exporter) proven(ctx context.Context, tx *sqldb.Tx, entries []Entry, complete bool) ([]exportEvent, error) {
	list := make([]exportEvent, len(entries))
	for i := range entries {
		list[i] = exported(&entries[i])
	}
	if complete {
		return list, nil
	}
	tree := newTreeReader(ctx, tx)
	// What all proofs need is read together: the first round gathers, and gets
	// hashes of zeros.
	var need []int64
	gather := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		need = append(need, indexes...)
		return make([]tlog.Hash, len(indexes)), nil
	})
	for i := range list {
		if _, err := tlog.ProveRecord(x.checkpoint.Size, list[i].Seq, gather); err != nil {
			return nil, err
		}
	}
	if err := tree.load(need); err != nil {
		return nil, err
	}
	for i := range list {
		proof, err := tlog.ProveRecord(x.checkpoint.Size, list[i].Seq, tree)
		if err != nil {
			return nil, err
		}
		list[i].Proof = make([]string, len(proof))
		for j, h := range proof {
			list[i].Proof[j] = h.String()
		}
	}
	return list, nil
}

// exportStall is how long one chunk may take to go out to a browser.
const exportStall = time.Minute

func (s *Service) serveExport(api *httpapi.API) httpapi.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		actor, err := api.Actor(r)
		if err != nil {
			return err
		}
		f, err := exportFilter(r)
		if err != nil {
			return err
		}
		started := &startedWriter{w: w, name: "audit-" + s.now().In(time.FixedZone("", int(zone.Seconds()))).Format("20060102-1504") + ".jsonl"}
		control := http.NewResponseController(w)
		_, err = s.Export(r.Context(), actor, f, started, func() error {
			return control.SetWriteDeadline(time.Now().Add(exportStall))
		})
		if err != nil && started.begun {
			s.log.WarnContext(r.Context(), "audit: an export was cut off", "err", err)
			panic(http.ErrAbortHandler) //nolint:forbidigo // the one way to tell a client that the rest is missing
		}
		return err
	}
}

// startedWriter writes the headers with the first bytes, so that a refusal
// before them is a problem document.
type startedWriter struct {
	w     http.ResponseWriter
	name  string
	begun bool
}

func (s *startedWriter) Write(b []byte) (int, error) {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "application/jsonl; charset=utf-8")
		s.w.Header().Set("Content-Disposition", `attachment; filename="`+s.name+`"`)
	}
	return s.w.Write(b)
}

// exportFilter reads the filter that huma reads for the other endpoints.
func exportFilter(r *http.Request) (Filter, error) {
	q := r.URL.Query()
	in := EventQuery{Action: q.Get("action"), Outcome: q.Get("outcome"), PersonID: q.Get("person"), ObjectKind: q.Get("object_kind"),
		ObjectID: q.Get("object_id"), AgencyID: q.Get("agency"), Address: q.Get("address")}
	for name, at := range map[string]*time.Time{"from": &in.From, "until": &in.Until} {
		if text := q.Get(name); text != "" {
			var err error
			if *at, err = time.Parse(time.RFC3339, text); err != nil {
				return Filter{}, errcode.New(errcode.Invalid, "%s: %q is no time; write one such as 2026-11-25T08:00:00+07:00", name, text)
			}
		}
	}
	for name, text := range map[string]string{"action": in.Action, "person": in.PersonID, "object_id": in.ObjectID, "agency": in.AgencyID, "address": in.Address} {
		if len(text) > 200 {
			return Filter{}, errcode.New(errcode.Invalid, "%s: too long", name)
		}
	}
	return in.filter(), nil
}
